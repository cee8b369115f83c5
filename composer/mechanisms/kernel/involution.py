"""Involution. Li et al., Involution: Inverting the Inherence of Convolution for Visual Recognition, CVPR 2021."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from composer.arithmetic import pair
from composer.mechanisms.shared.divisors import nearest_divisors
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.windows import local_sum
from composer.options import OddInt, PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("in_format_of")
torch.fx.wrap("local_sum")


@mechanism(
    "involution",
    kind="kernel",
    applied="positions",
    replaces="conv",
    aliases=("rednet", "inv", "inverted convolution", "内卷"),
)
class Involution(nn.Module):
    """Replace each position by a sum of its surroundings, weighted by a kernel that the position itself computes.

    Shape:   b c h w -> b o h/s w/s
    Math:    y_ij = sum_ab H_ab(x_ij) * v_i+a,j+b        over the k × k window, one kernel for G groups of channels
             H(x) = W1 relu(BN(W0 pool_s(x))),  W0: c -> d,  W1: d -> k² G,  d = max(1, c // r)
             v = x where o = c, and else W2 x,  W2: c -> o
    Params:  c d + 2d + (d + 1) k² G + e o        e = 0 where o = c, and else c
    MACs:    (c d + d k² G) h' w' + e o h w        h' = ceil(h / s),  w' = ceil(w / s)
    Source:  Li et al., Involution: Inverting the Inherence of Convolution for Visual Recognition, CVPR 2021.
             arXiv:2103.06255
    Departs: W2, since the authors' layer keeps the number of channels; an odd map is pooled with what is left over,
             where the authors' code fails.
    Start:   the authors' code: kernels N(0, 2 / outputs) and zero biases.

    `window` is k, 7 in RedNet, whatever the kernel of the replaced convolution; `reduction` is r. `group_channels` is
    o / G. `MACs` counts matrix products only; the windows cost k² o h' w' more.

    >>> sum(p.numel() for p in Involution(64, 64).parameters())
    4388
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        stride: Size = 1,
        *,
        window: OddInt = 7,
        reduction: PositiveInt = 4,
        group_channels: PositiveInt = 16,
    ):
        super().__init__()
        if out_channels % group_channels:
            nearest = nearest_divisors(out_channels, group_channels)
            text = f"{out_channels} channels do not divide into groups of {group_channels}"
            raise ValueError(f"involution: {text}; set group_channels to {nearest}")
        hidden = max(1, in_channels // reduction)
        self.window, self.group_channels, self.stride = window, group_channels, pair(stride)
        self.pool = nn.Identity() if self.stride == (1, 1) else nn.AvgPool2d(stride, stride, ceil_mode=True)
        reduce = {"conv": nn.Conv2d(in_channels, hidden, 1, bias=False), "bn": nn.BatchNorm2d(hidden), "act": nn.ReLU()}
        self.conv1 = nn.Sequential(OrderedDict(reduce))
        self.conv2 = nn.Conv2d(hidden, window**2 * (out_channels // group_channels), 1)
        same = in_channels == out_channels
        self.value = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, bias=False)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def _kernels(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(self.pool(x))).unflatten(1, (-1, self.window**2))

    def attention(self, x: Tensor) -> Tensor:
        """The kernel of each position, b G h' w' k², of any sign and size."""
        return self._kernels(x).permute(0, 1, 3, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        v = self.value(x).unflatten(1, (-1, self.group_channels))
        y = local_sum(self._kernels(x).unsqueeze(2), v, (self.window, self.window), self.stride)
        return in_format_of(x, y.flatten(1, 2))
