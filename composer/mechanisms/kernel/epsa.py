"""EPSA: pyramid split attention. Zhang et al., EPSANet, ACCV 2022."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.precision import at_least_float32
from composer.options import OddInt, PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")

Kernels = tuple[OddInt, OddInt, OddInt, OddInt]
Groups = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]


@mechanism(
    "epsa",
    kind="branch",
    replaces="conv",
    aliases=(
        "pyramid split attention",
        "epsanet",
        "psa",
        "psamodule",
        "efficient pyramid split attention",
        "金字塔分割注意力",
    ),
)
class PyramidSplitAttention(nn.Module):
    """Convolve with four kernels for a quarter of the outputs each, and let each channel weigh the four.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w
    Math:    y = [a_4 * u_4; a_3 * u_3; a_2 * u_2; a_1 * u_1]        u_i = conv_i(x): c -> s,  s = o / 4
             a = softmax_i(sigmoid(W2 relu(W1 mean_hw(u_i)))),  W1: s -> d,  W2: d -> s,  d = max(1, s // r)
    Params:  S s + 2s d + d + s        S = sum_i k_i² c / g_i
    MACs:    S s h' w' + 8s d
    Source:  Zhang et al., EPSANet: An Efficient Pyramid Split Attention Block on Convolutional Neural Network, ACCV
             2022. arXiv:2105.14447
    Departs: nothing. The order of the outputs is that of the authors' code. A copy that circulates keeps its
             convolutions in a list, and trains none of them.
    Start:   the authors' code: kernels N(0, 2 / (k² outputs)), and biases as PyTorch does, U(-b, b) with
             b = 1 / sqrt(inputs).

    `kernel_sizes` are k_i and `groups` g_i, in place of those of the replaced convolution; EPSANet-Large has 32 groups
    in all four. Groups that do not divide c and s become their largest common divisor with them. `reduction` is r. W1
    and W2 are the same for all four.

    >>> sum(p.numel() for p in PyramidSplitAttention(64, 64).parameters())
    27121
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        stride: Size = 1,
        *,
        kernel_sizes: Kernels = (3, 5, 7, 9),
        groups: Groups = (1, 4, 8, 16),
        reduction: PositiveInt = 16,
    ):
        super().__init__()
        if out_channels % 4:
            text = f"{out_channels} output channels do not divide by 4"
            raise ValueError(f"epsa: {text}; replace another convolution")
        part = out_channels // 4
        hidden = max(1, part // reduction)
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, part, k, stride, padding=k // 2, groups=math.gcd(g, in_channels, part), bias=False)
            for k, g in zip(kernel_sizes, groups, strict=True)
        )
        self.fc1, self.act, self.fc2 = nn.Conv2d(part, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, part, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def _split(self, x: Tensor) -> list[Tensor]:
        return [conv(x) for conv in self.convs]

    def _select(self, features: list[Tensor]) -> Tensor:
        # All branches pass the same layers at once, as further images of the batch.
        pooled = torch.stack([one.mean((2, 3), keepdim=True) for one in features], 1).flatten(0, 1)
        gates = self.fc2(self.act(self.fc1(pooled))).sigmoid()
        return at_least_float32(gates.unflatten(0, (-1, len(features)))).softmax(1)

    def attention(self, x: Tensor) -> Tensor:
        """The share of each branch, b 4 s 1 1; sums to 1 over them; the first is that of the first kernel."""
        return self._select(self._split(x))

    def forward(self, x: Tensor) -> Tensor:
        features = self._split(x)
        weights = self._select(features).to(x.dtype)
        return torch.cat([weights[:, index] * features[index] for index in (3, 2, 1, 0)], 1)
