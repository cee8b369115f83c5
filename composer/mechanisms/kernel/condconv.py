"""CondConv: conditionally parameterised convolution. Yang et al., CondConv, NeurIPS 2019."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.arithmetic import pair, same_padding
from composer.kernels import fused
from composer.mechanisms.shared.divisors import check_groups
from composer.mechanisms.shared.memory_format import in_format_of, with_gradient_in_format
from composer.options import Padding, PositiveInt, Size
from composer.registry import mechanism

# Measured: with so many samples, in all and for each expert, and so few outputs of experts for each of the results,
# mixing these outputs is up to twenty times faster.
_FEWEST_SAMPLES, _FEWEST_FOR_EACH, _MOST_OUTPUTS = 16, 4, 32


def outputs_are_few(module: ExpertConv2d, x: Tensor, mix: Tensor) -> bool:
    """Whether to mix the outputs of all experts rather than their kernels, by the shapes alone.

    A kernel of c/g k k is mixed for each sample and output. On maps of few positions that takes longer, and keeps more,
    than the outputs of all experts.
    """
    experts = len(module.weight)
    outputs = experts * math.prod(module.size_of_output(x))
    many = len(x) >= max(_FEWEST_SAMPLES, _FEWEST_FOR_EACH * experts)
    return many and outputs <= min(_MOST_OUTPUTS, math.prod(module.shape[1:]))


def convolved_by_outputs(module: ExpertConv2d, x: Tensor, mix: Tensor) -> Tensor:
    """The convolution of x with `mix`, as `convolve`, by mixing the outputs of all experts."""
    if x.ndim == 2:
        return convolved_by_outputs(module, x[:, :, None, None], mix)[:, :, 0, 0]
    return in_format_of(x, mix_outputs(x, mix, module.weight, module.bias, module.shape, module.settings))


class ExpertConv2d(nn.Module):
    """A convolution with a kernel per sample, mixed from experts.

    `weight` is experts × (o c/g k k), as in timm, so that mixing is a matrix product. What a model may read of the
    convolution in whose place it stands has the form that nn.Conv2d gives it: pairs of sizes.

    name  of the mechanism, for errors
    """

    name: str

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        kernel_size: Size,
        stride: Size,
        padding: Padding | None,
        dilation: Size,
        groups: int,
        bias: bool,
        num_experts: int,
    ):
        super().__init__()
        check_groups(self.name, in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = pair(kernel_size), pair(stride), pair(dilation)
        rows, columns = self.kernel_size
        self.shape = (out_channels, in_channels // groups, rows, columns)
        self.padding = same_padding(kernel_size, dilation) if padding is None else pair(padding)
        self.weight = nn.Parameter(torch.empty(num_experts, math.prod(self.shape)))
        self.bias = nn.Parameter(torch.zeros(num_experts, out_channels)) if bias else None
        # Each expert is drawn like a convolution of its own (He et al., by the outputs of a group).
        nn.init.normal_(self.weight, std=math.sqrt(2 * groups / (out_channels * rows * columns)))

    @property
    def settings(self) -> Settings:
        """The arguments of a convolution after its weights and bias."""
        return (self.stride, self.padding, self.dilation, self.groups)

    def size_of_output(self, x: Tensor) -> tuple[int, ...]:
        """Height and width of the convolution's output; 1 × 1 for vectors b c."""
        sizes = zip(x.shape[2:] or (1, 1), self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        return tuple((length + 2 * p - d * (k - 1) - 1) // s + 1 for length, k, s, p, d in sizes)


Settings = tuple[Size, Size, Size, int]


def convolve_each(
    x: Tensor, mix: Tensor, weight: Tensor, bias: Tensor | None, shape: tuple[int, ...], settings: Settings
) -> Tensor:
    """Each sample convolved with its mixture of the experts: b c h w, b experts -> b o h' w'.

    shape     of a single kernel
    settings  stride, padding, dilation and groups
    """
    if x.ndim == 2:
        return convolve_each(x[:, :, None, None], mix, weight, bias, shape, settings)[:, :, 0, 0]
    if x.shape[0] == 0:
        # An empty batch cannot be folded into groups; the first expert gives the shape.
        return F.conv2d(x, weight[0].reshape(shape), None, *settings)
    if torch.onnx.is_in_onnx_export():
        return mix_outputs(x, mix, weight, bias, shape, settings)
    kernels = (mix.to(weight.dtype) @ weight).reshape(-1, *shape[1:])
    biases = None if bias is None else (mix.to(bias.dtype) @ bias).flatten()
    return fold(x, kernels, biases, settings)


def fold(x: Tensor, kernels: Tensor, biases: Tensor | None, settings: Settings) -> Tensor:
    """Each sample convolved with kernels of its own: b c h w, (b o) c/g k k, (b o) -> b o h' w'."""
    stride, padding, dilation, groups = settings
    # The whole batch becomes an image with the samples as groups.
    folded = with_gradient_in_format(x).reshape(1, -1, *x.shape[2:])
    y = F.conv2d(folded, kernels, biases, stride, padding, dilation, x.shape[0] * groups)
    return in_format_of(x, y.reshape(x.shape[0], -1, *y.shape[2:]))


def mix_outputs(
    x: Tensor, mix: Tensor, weight: Tensor, bias: Tensor | None, shape: tuple[int, ...], settings: Settings
) -> Tensor:
    """The same result, by mixing the outputs of the experts: ONNX has no convolution with a group per sample."""
    experts, outputs, groups = len(weight), shape[0], settings[-1]
    kernels = weight.reshape(experts, groups, -1, *shape[1:]).transpose(0, 1)
    y = F.conv2d(x, kernels.reshape(experts * outputs, *shape[1:]), None, *settings)
    y = y.unflatten(1, (groups, experts, outputs // groups))
    y = (y * mix.to(y.dtype)[:, None, :, None, None, None]).sum(2).flatten(1, 2)
    return y if bias is None else y + (mix.to(bias.dtype) @ bias)[:, :, None, None]


def plain_mixture(module: Any, x: Tensor) -> Tensor:
    """The same output, computed by mixing the outputs of all experts."""
    return mix_outputs(x, module.attention(x), module.weight, module.bias, module.shape, module.settings)


def pooled(x: Tensor) -> Tensor:
    """The mean of each channel, b c h w -> b c; an x of b c stays as it is."""
    return x if x.ndim == 2 else x.mean((2, 3))


# Not traced: the batch size is a number of groups, and may be 0.
torch.fx.wrap("convolve_each")
torch.fx.wrap("pooled")


@mechanism(
    "condconv",
    kind="kernel",
    replaces="conv-or-linear",
    reference=plain_mixture,
    aliases=("conditionally parameterized convolution", "CondConv2d"),
)
class CondConv(ExpertConv2d):
    """Convolve each sample with its own kernel: a sum of experts, weighted by gates from the pooled input.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w;  b c -> b o for a linear layer
    Math:    y = (sum_i a_i W_i) * x        a = sigmoid(R mean_hw(x)),  R: c -> n
    Params:  n k² o c / g + n (c + 1);  n o more with bias;  n (c + 1) less with a given router
    MACs:    k² o c h' w' / g + n c + n k² o c / g;  n o more with bias;  n c less with a given router
    Source:  Yang et al., CondConv: Conditionally Parameterized Convolutions, NeurIPS 2019, eq. 1-2. arXiv:1904.04971
    Departs: nothing. The gates are not normalised.
    Start:   the authors' code: experts N(0, 2 g / (k² o)), R U(-b, b) with b = sqrt(6 / (c + n)), zero biases.

    `num_experts` is n. `router: given` has no R: the gates, b n, are a second input, so that several convolutions share
    a `condconv_router`.

    >>> sum(p.numel() for p in CondConv(16, 32).parameters())
    37000
    """

    name = "condconv"

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
        num_experts: PositiveInt = 8,
        router: Literal["own", "given"] = "own",
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, num_experts)
        self.router = nn.Linear(in_channels, num_experts) if router == "own" else None
        if self.router is not None:
            nn.init.xavier_uniform_(self.router.weight)
            nn.init.zeros_(self.router.bias)

    def attention(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        """The weight of each expert, b n, in (0, 1)."""
        if self.router is None:
            if gates is None:
                raise ValueError("condconv: `router: given` takes the gates as a second input")
            return gates
        return self.router(pooled(x)).sigmoid()

    @fused(convolved_by_outputs, where=outputs_are_few, in_inference=True)
    def convolve(self, x: Tensor, mix: Tensor) -> Tensor:
        """The convolution of x with `mix`: b c h w, b experts -> b o h' w'; or b c -> b o, as maps of one position."""
        return convolve_each(x, mix, self.weight, self.bias, self.shape, self.settings)

    def forward(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        return self.convolve(x, self.attention(x, gates))
