"""ODConv: omni-dimensional dynamic convolution. Li et al., ICLR 2022."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.kernel.condconv import ExpertConv2d, Settings, fold, mix_outputs
from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm
from composer.mechanisms.shared.precision import at_least_float32
from composer.mechanisms.shared.temperature import FallingTemperature
from composer.options import NonNegativeInt, Padding, PositiveFloat, PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")


def _plain(module: OmniDimensionalDynamicConv, x: Tensor) -> Tensor:
    """The same output, computed by mixing the outputs of all experts over gated taps."""
    return _plain_outputs(x, module.gates(x), module.weight, module.bias, module.shape, module.settings)


@mechanism(
    "odconv",
    kind="kernel",
    replaces="conv",
    reference=_plain,
    aliases=("omni-dimensional dynamic convolution", "od-conv", "odconv2d", "全维动态卷积"),
)
class OmniDimensionalDynamicConv(FallingTemperature, ExpertConv2d):
    """Convolve each sample with its own kernel: a mean of experts, gated along inputs, outputs and taps as well.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w
    Math:    y = a_f * ((sum_i a_i (a_s * W_i)) * (a_c * x))        z = relu(BN(V mean_hw(x))),  V: c -> d
             a_i = softmax((R z + r) / tau),  a_c, a_f, a_s = sigmoid((R' z + r') / tau): of c, o and k × k numbers
             d = max(c // r, floor)
    Params:  n k² o c / g + c d + 2d + (d + 1) (c + f + s + m);  n o more with bias
             s = k², or 0 at k = 1;  f = o, or 0 if the convolution is depthwise;  m = n, or 0 at n = 1
    MACs:    k² o c h' w' / g + m k² o c / g + c d + d (c + f + s + m);  n o more with bias
    Source:  Li et al., Omni-Dimensional Dynamic Convolution, ICLR 2022. arXiv:2209.07947
    Departs: nothing from the authors' code, which leaves out gates of a single value, and a_f where the convolution is
             depthwise. Biases are mixed as kernels are; the authors' layer has none.
    Start:   the authors' code: experts N(0, 2 / (k² o)), V, R and R' N(0, 2 / outputs), and zero biases.

    tau starts at `temperature` and `composer.anneal` lowers it in equal steps to 1 over the first `annealing_epochs`
    epochs. It is a buffer, saved with the weights. `attention` has the weights of the experts, `gates` all four.
    In training mode it needs a batch of at least 2, since the batch norm of the pooled features raises ValueError over
    one value; `norm: layer` and `norm: none` do not.
    `num_experts` is n, `reduction` is r.

    >>> sum(p.numel() for p in OmniDimensionalDynamicConv(64, 64).parameters())
    150909
    """

    name = "odconv"

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        kernel_size: Size = 3,
        stride: Size = 1,
        padding: Padding | None = None,
        dilation: Size = 1,
        groups: PositiveInt = 1,
        bias: bool = False,
        *,
        num_experts: PositiveInt = 4,
        reduction: PositiveInt = 16,
        floor: PositiveInt = 16,
        norm: PooledNorm = "batch",
        temperature: PositiveFloat = 30.0,
        annealing_epochs: NonNegativeInt = 10,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, num_experts)
        hidden = max(in_channels // reduction, floor)
        taps = math.prod(self.shape[2:])
        depthwise = in_channels == groups == out_channels
        self.fc = nn.Conv2d(in_channels, hidden, 1, bias=False)
        self.bn = pooled_norm(norm, hidden)
        self.act = nn.ReLU()
        self.channel_fc = nn.Conv2d(hidden, in_channels, 1)
        self.filter_fc = None if depthwise else nn.Conv2d(hidden, out_channels, 1)
        self.spatial_fc = None if taps == 1 else nn.Conv2d(hidden, taps, 1)
        self.kernel_fc = None if num_experts == 1 else nn.Conv2d(hidden, num_experts, 1)
        nn.init.normal_(self.weight, std=math.sqrt(2 / (out_channels * taps)))
        for layer in (self.fc, self.channel_fc, self.filter_fc, self.spatial_fc, self.kernel_fc):
            if layer is not None:
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.start_at(temperature, annealing_epochs)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """The gates of inputs, outputs and taps, b c 1 1, b o 1 1 and b k², and the weights of the experts, b n, which
        sum to 1; None for one that the convolution does not have."""
        z = self.act(self.bn(self.fc(x.mean((2, 3), keepdim=True))))
        inputs = self._gate(self.channel_fc, z)
        outputs = None if self.filter_fc is None else self._gate(self.filter_fc, z)
        taps = None if self.spatial_fc is None else self._gate(self.spatial_fc, z).flatten(1)
        if self.kernel_fc is None:
            return inputs, outputs, taps, None
        return inputs, outputs, taps, (at_least_float32(self.kernel_fc(z)).flatten(1) / self.temperature).softmax(1)

    def _gate(self, layer: nn.Module, z: Tensor) -> Tensor:
        return (layer(z) / self.temperature).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The weight of each expert, b n, at least float32; sums to 1.

        Raises NotImplementedError for a single expert, which has none.
        """
        mix = self.gates(x)[-1]
        if mix is None:
            raise NotImplementedError("odconv: a single expert has no weight; `gates` has the other three")
        return mix

    def forward(self, x: Tensor) -> Tensor:
        return _convolve(x, self.gates(x), self.weight, self.bias, self.shape, self.settings)


Gates = tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]


def _convolve(
    x: Tensor, gates: Gates, weight: Tensor, bias: Tensor | None, shape: tuple[int, ...], settings: Settings
) -> Tensor:
    """Each sample convolved with its gated mixture of the experts; the gates of inputs and outputs scale the maps."""
    if x.shape[0] == 0:
        # An empty batch cannot be folded into groups; the first expert gives the shape.
        return F.conv2d(x, weight[0].reshape(shape), None, *settings)
    if torch.onnx.is_in_onnx_export():
        return _plain_outputs(x, gates, weight, bias, shape, settings)
    inputs, outputs, taps, mix = gates
    x = x * inputs
    kernels = weight if mix is None else mix.to(weight.dtype) @ weight
    biases = bias if bias is None or mix is None else mix.to(bias.dtype) @ bias
    if taps is not None:
        kernels = kernels.unflatten(1, (-1, taps.shape[1])) * taps.unsqueeze(1)
    if mix is None and taps is None:
        y = F.conv2d(x, kernels.reshape(shape), None if biases is None else biases[0], *settings)
    else:
        each = None if biases is None else biases.expand(x.shape[0], -1).flatten()
        y = fold(x, kernels.reshape(-1, *shape[1:]), each, settings)
    return y if outputs is None else y * outputs


def _plain_outputs(
    x: Tensor, gates: Gates, weight: Tensor, bias: Tensor | None, shape: tuple[int, ...], settings: Settings
) -> Tensor:
    """The same result without kernels per sample: what each tap sees is a map, which its gate scales."""
    inputs, outputs, taps, mix = gates
    stride, padding, dilation, groups = settings
    count, channels = math.prod(shape[2:]), x.shape[1]
    one_hot = torch.eye(count, dtype=x.dtype, device=x.device).reshape(count, 1, *shape[2:]).repeat(channels, 1, 1, 1)
    seen = F.conv2d(x * inputs, one_hot, None, stride, padding, dilation, channels)
    if taps is not None:
        seen = (seen.unflatten(1, (channels, count)) * taps[:, None, :, None, None]).flatten(1, 2)
    mix = x.new_ones(x.shape[0], 1) if mix is None else mix
    y = mix_outputs(seen, mix, weight, bias, (shape[0], shape[1] * count, 1, 1), (1, 0, 1, groups))
    return y if outputs is None else y * outputs


# Not traced: the batch size is a number of groups, and may be 0.
torch.fx.wrap("_convolve")
