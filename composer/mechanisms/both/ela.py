"""ELA: efficient local attention. Xu & Wan, 2024."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.grouped import gated_by, rows_are_faster
from composer.mechanisms.shared.channel_norm import ChannelNorm
from composer.mechanisms.shared.divisors import divisor_at_most, nearest_divisors
from composer.options import PositiveInt
from composer.registry import mechanism

# The kernel, the channels convolved together, and the groups of the norm.
_SIZES = {"tiny": (5, 1, 32), "base": (7, 1, 16), "small": (5, 8, 16), "large": (7, 8, 16)}


@mechanism(
    "ela",
    kind="channel+spatial",
    aliases=("efficient local attention", "ela-t", "ela-b", "ela-s", "ela-l", "高效局部注意力"),
)
class EfficientLocalAttention(nn.Module):
    """Rescale each element by a gate of its row and a gate of its column, from means of rows and columns nearby.

    Shape:   b c h w -> b c h w
    Math:    y = x * f(mean_w(x)) * f(mean_h(x))        f(z) = sigmoid(GN(conv_k(z))),  the same for rows and columns
             conv_k: along h or w, zero padded, m channels together
             k, m, groups of GN: `tiny` 5, 1, 32;  `base` 7, 1, 16;  `small` 5, 8, 16;  `large` 7, 8, 16
    Params:  k c m + 2c
    MACs:    k c m (h + w + p)        p = (k - 1) / 2: zeros that part both means, which are convolved as one
    Source:  Xu & Wan, ELA: Efficient Local Attention for Deep Convolutional Neural Networks, 2024.
             arXiv:2403.01123. We know of no code of the authors; the copies that name the four sizes agree on them.
    Departs: where the groups of GN do not divide the channels, the largest number below them does (`norm_groups`).
             timm's EfficientLocalAttn is another: a convolution and a norm of one group for each axis, and a SiLU.
    Start:   PyTorch's own, as the copies: U(-b, b),  b = 1 / sqrt(k m).

    `size` is one of the paper's T, B, S and L. `norm_groups` sets the groups of GN directly.

    >>> sum(p.numel() for p in EfficientLocalAttention(64).parameters())
    576
    """

    def __init__(
        self,
        channels: int,
        *,
        size: Literal["tiny", "base", "small", "large"] = "base",
        norm_groups: PositiveInt | None = None,
    ):
        super().__init__()
        kernel_size, together, groups = _SIZES[size]
        if channels % together:
            text = f"size={size} convolves {together} channels together, which {channels} do not divide into"
            raise ValueError(f"ela: {text}; set size to tiny or base")
        if norm_groups is None:
            norm_groups = divisor_at_most(channels, groups)
        if channels % norm_groups:
            nearest = nearest_divisors(channels, norm_groups)
            text = f"{channels} channels do not divide into {norm_groups} groups of the norm"
            raise ValueError(f"ela: {text}; set norm_groups to {nearest}")
        self.gap = kernel_size // 2
        self.conv = nn.Conv1d(
            channels, channels, kernel_size, padding=self.gap, groups=channels // together, bias=False
        )
        self.gn = ChannelNorm(channels, norm_groups)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The means of rows, b c h 1, and of columns, b c 1 w."""
        return x.mean(3, keepdim=True), x.mean(2, keepdim=True)

    def excite(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The gates of rows, b c h 1, and of columns, b c 1 w, from the statistics."""
        height, rows, columns = rows.shape[2], rows.squeeze(3), columns.squeeze(2)
        # One call, since quantisers refuse a layer that is called twice; the zeros are the padding of both.
        between = torch.zeros_like(rows[:, :, :1]).expand(-1, -1, self.gap)
        z = self.conv(torch.cat([rows, between, columns], 2))
        rows, columns = z[:, :, :height], z[:, :, height + self.gap :]
        return self.gn(rows).sigmoid().unsqueeze(3), self.gn(columns).sigmoid().unsqueeze(2)

    def attention(self, x: Tensor) -> Tensor:
        """The product of both gates, b c h w, in (0, 1)."""
        rows, columns = self.excite(*self.statistics(x))
        return rows * columns

    def rescaled(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """x, rescaled by the gates of its row and of its column, b c h w."""
        return x * rows * columns

    @fused(gated_by(("mean", 3), ("mean", 2)), where=rows_are_faster)
    def forward(self, x: Tensor) -> Tensor:
        return self.rescaled(x, *self.excite(*self.statistics(x)))
