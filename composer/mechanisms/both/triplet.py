"""Triplet attention. Misra et al., Rotate to Attend: Convolutional Triplet Attention Module, WACV 2021."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.grouped import gated_by
from composer.kernels.passes import has_many_positions
from composer.mechanisms.shared.odd import check_odd
from composer.options import OddInt
from composer.registry import mechanism


class PlaneGate(nn.Module):
    """A gate for each element of a plane of two axes, from the maximum and the mean over the third: b 2 p q -> b 1 p q.

    `scale` is that of the batch norm at the start.
    """

    def __init__(self, kernel_size: int, scale: float):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.constant_(self.bn.weight, scale)

    def forward(self, summary: Tensor) -> Tensor:
        gate: Tensor = self.bn(self.conv(summary)).sigmoid()
        return gate


@mechanism(
    "triplet",
    kind="channel+spatial",
    aliases=("triplet attention", "triplet_attention", "rotate to attend", "三重注意力"),
)
class TripletAttention(nn.Module):
    """Rescale each element by the mean of three gates: of row and column, of channel and row, of channel and column.

    Shape:   b c h w -> b c h w
    Math:    y = x * (g_hw + g_ch + g_cw) / 3        g_pq = sigmoid(BN(conv_k([max_r(x); mean_r(x)])))
             p, q: two of the axes c, h, w, whose plane conv_k: 2 -> 1 takes as an image, zero padded;  r: the third
    Params:  6k² + 6;  4k² + 4 without spatial
    MACs:    2k² (c h + c w + h w);  2k² (c h + c w) without spatial
    Source:  Misra et al., Rotate to Attend: Convolutional Triplet Attention Module, WACV 2021. arXiv:2010.03045
    Departs: equal maxima share the gradient; in the authors' code one of them gets all of it. Copies with a bias in
             conv_k have 3 parameters more. The momentum of the norms is 0.01, as in the authors' code.
    Start:   the authors' ResNet: N(0, 2 / k²); the scale of the norm of g_hw is 0, so that this gate starts at 1/2.

    `kernel_size` is k. `spatial: false` leaves g_hw out and takes the mean of two gates. A single image of a single
    position cannot train with g_hw: its batch norm then has one value, and needs a batch of at least 2.

    >>> sum(p.numel() for p in TripletAttention().parameters())
    300
    """

    def __init__(self, *, kernel_size: OddInt = 7, spatial: bool = True):
        super().__init__()
        check_odd("triplet", kernel_size)
        self.cw = PlaneGate(kernel_size, 1.0)
        self.hc = PlaneGate(kernel_size, 1.0)
        self.hw = PlaneGate(kernel_size, 0.0) if spatial else None

    def statistics(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maximum and mean over h, b c 1 w; over w, b c h 1; and over c, b 1 h w."""
        axes = (2, 3) if self.hw is None else (2, 3, 1)
        return tuple(one(axis, keepdim=True) for axis in axes for one in (x.amax, x.mean))

    def excite(
        self, max_h: Tensor, mean_h: Tensor, max_w: Tensor, mean_w: Tensor, *plane: Tensor
    ) -> tuple[Tensor, ...]:
        """The gates b c 1 w, b c h 1 and b 1 h w, from the statistics."""
        # As images b 2 c w and b 2 h c.
        columns = torch.cat([max_h, mean_h], 2).transpose(1, 2)
        rows = torch.cat([max_w, mean_w], 3).permute(0, 3, 2, 1)
        gates = self.cw(columns).transpose(1, 2), self.hc(rows).permute(0, 3, 2, 1)
        return gates if self.hw is None else (*gates, self.hw(torch.cat(plane, 1)))

    def rescaled(self, x: Tensor, *gates: Tensor) -> Tensor:
        """x, rescaled by the mean of the gates, b c h w."""
        return x * (sum(gates[1:], gates[0]) / len(gates))

    def attention(self, x: Tensor) -> Tensor:
        """The mean of the gates, b c h w, in (0, 1)."""
        gates = self.excite(*self.statistics(x))
        return sum(gates[1:], gates[0]) / len(gates)

    @fused(
        gated_by(*((kind, axis) for axis in (2, 3, 1) for kind in ("max", "mean")), together="mean"),
        where=has_many_positions,
    )
    def forward(self, x: Tensor) -> Tensor:
        return self.rescaled(x, *self.excite(*self.statistics(x)))
