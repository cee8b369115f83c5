"""CoT: the contextual transformer block. Li et al., Contextual Transformer Networks, TPAMI 2022."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.arithmetic import pair
from composer.mechanisms.kernel.sk import weighted_sum
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm
from composer.mechanisms.shared.precision import at_least_float32
from composer.mechanisms.shared.windows import local_sum
from composer.options import PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
torch.fx.wrap("in_format_of")
torch.fx.wrap("local_sum")
torch.fx.wrap("weighted_sum")

# Groups of the convolution for keys, and channels that share a kernel, in the authors' code.
KEY_GROUPS, SHARED = 4, 8


@mechanism(
    "cot",
    kind="branch",
    replaces="conv-norm-act",
    aliases=("contextual transformer", "cotnet", "cotnet layer", "cotattention", "上下文变换器"),
)
class ContextualTransformer(nn.Module):
    """Join two contexts of each position: a convolution, and a local mixture whose kernels that convolution helps find.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w
    Math:    y = a_1 * u_1 + a_2 * u_2        x' = x, or at a stride its 3 × 3 means at that stride
             u_2 = relu(BN(K * x')),  K: k × k, 4 groups;  u_1 = silu(BN(sum_ab H_ab v_i+a,j+b)),  v = BN(V x')
             H = GN(E2 relu(BN(E1 [x'; u_2]))):  k² numbers for each of o / 8 kernels, channel i takes i mod o / 8
             a = softmax_2(S2 relu(BN(S1 mean_hw(u_1 + u_2)))),  S1: o -> d,  d = max(o // 2, 32)
             V: c -> o,  E1: c + o -> e,  E2: e -> k² o / 8,  e = o // 2
    Params:  k² o c / 4 + c o + (c + o) e + 2e + (e + 3) k² o / 8 + 3o d + 3d + 8o
    MACs:    (k² o c / 4 + c o + (c + o) e + e k² o / 8) h' w' + 3o d
    Source:  Li et al., Contextual Transformer Networks for Visual Recognition, TPAMI 2022. arXiv:2107.12292
    Departs: the authors' code is followed, which has norms, fuses both contexts as split attention does, and computes
             the kernels without a softmax. Their local convolution needs CUDA; many copies leave it out. Theirs keeps
             the number of channels; here V and K change it where the convolution does.
    Start:   the authors' code: kernels N(0, 2 / (k² outputs)), and biases as PyTorch does, U(-b, b) with
             b = 1 / sqrt(inputs).

    It takes the place of a convolution with its norm and activation. `MACs` counts convolutions only; the windows cost
    k² o h' w' more. In training mode it needs a batch of at least 2, since the batch norm of the pooled features raises
    ValueError over one value; `norm: layer` and `norm: none` do not.

    >>> sum(p.numel() for p in ContextualTransformer(64, 64).parameters())
    26744
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        kernel_size: Size = 3,
        stride: Size = 1,
        *,
        norm: PooledNorm = "batch",
    ):
        super().__init__()
        self.kernel = pair(kernel_size)
        _check(in_channels, out_channels, self.kernel)
        count, inner = self.kernel[0] * self.kernel[1], out_channels // 2
        kernels, hidden = out_channels // SHARED, max(out_channels // 2, 32)
        around = (self.kernel[0] // 2, self.kernel[1] // 2)
        self.kernels = kernels
        self.avd = nn.Identity() if stride in (1, (1, 1)) else nn.AvgPool2d(3, stride, padding=1)
        self.key_embed = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, self.kernel, padding=around, groups=KEY_GROUPS, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )
        self.embed = nn.Sequential(
            nn.Conv2d(in_channels + out_channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, count * kernels, 1),
            nn.GroupNorm(kernels, count * kernels),
        )
        self.conv1x1 = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
        self.bn, self.act = nn.BatchNorm2d(out_channels), nn.SiLU()
        self.se = nn.Sequential(
            nn.Conv2d(out_channels, hidden, 1),
            pooled_norm(norm, hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 2 * out_channels, 1),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def _contexts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.avd(x)
        key = self.key_embed(x)
        weights = self.embed(torch.cat([x, key], 1)).unflatten(1, (1, self.kernels, -1))
        value = self.conv1x1(x).unflatten(1, (-1, self.kernels))
        y = local_sum(weights, value, self.kernel).flatten(1, 2)
        return self.act(self.bn(in_format_of(x, y))), key

    def _select(self, dynamic: Tensor, static: Tensor) -> Tensor:
        logits = self.se((dynamic + static).mean((2, 3), keepdim=True))
        return at_least_float32(logits.unflatten(1, (-1, 2))).softmax(2)

    def attention(self, x: Tensor) -> Tensor:
        """The share of the dynamic and of the static context, b 2 o 1 1; sums to 1 over both."""
        return self._select(*self._contexts(x)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        both = self._contexts(x)
        weights = self._select(*both).to(both[0].dtype)
        return weighted_sum(weights.unbind(2), both)


def _check(in_channels: int, out_channels: int, kernel: tuple[int, int]) -> None:
    if in_channels % KEY_GROUPS:
        raise ValueError(f"cot: {in_channels} input channels do not divide into {KEY_GROUPS} groups; replace another")
    if out_channels % SHARED:
        text = f"{SHARED} channels share a kernel, and {out_channels} output channels do not divide by {SHARED}"
        raise ValueError(f"cot: {text}; replace another convolution")
    if any(length % 2 == 0 for length in kernel):
        found = "x".join(map(str, kernel))
        raise ValueError(f"cot: the convolution's kernel is {found}; replace one that is odd, such as 3x3")
