"""Coordinate attention. Hou et al., Coordinate Attention for Efficient Mobile Network Design, CVPR 2021."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.grouped import gated_by, rows_are_faster
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "coord",
    kind="channel+spatial",
    aliases=("coordinate attention", "coordatt", "coord_attn", "ca", "坐标注意力"),
)
class CoordinateAttention(nn.Module):
    """Rescale each element by a gate of its row and a gate of its column, computed from the means of rows and columns.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(W_h f_h) * sigmoid(W_w f_w)        [f_h; f_w] = hswish(BN(W [mean_w(x); mean_h(x)]))
             W: c -> d,  W_h, W_w: d -> c,  d = max(floor, c // r),  the h + w means side by side
    Params:  3cd + 3d + 2c;  3cd + 2d without bias
    MACs:    2cd (h + w)
    Source:  Hou et al., Coordinate Attention for Efficient Mobile Network Design, CVPR 2021. arXiv:2103.02907
    Departs: nothing. timm's has no biases and d the multiple of 8 nearest to c / 24: `bias: false, reduction: 24,
             round_to: 8`.
    Start:   the authors' MobileNetV2: N(0, 2 / outputs) and zero biases.

    `reduction` is r. `round_to` makes d its multiple nearest to c / r, ties up, and at least `floor`.

    >>> sum(p.numel() for p in CoordinateAttention(64).parameters())
    1688
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveInt = 32,
        floor: PositiveInt = 8,
        round_to: PositiveInt | None = None,
        bias: bool = True,
    ):
        super().__init__()
        hidden = channels // reduction
        if round_to is not None:
            hidden = (2 * channels + reduction * round_to) // (2 * reduction * round_to) * round_to
        hidden = max(floor, hidden)
        self.conv1 = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.act = nn.Hardswish()
        self.conv_h = nn.Conv2d(hidden, channels, 1, bias=bias)
        self.conv_w = nn.Conv2d(hidden, channels, 1, bias=bias)
        for layer in (self.conv1, self.conv_h, self.conv_w):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The means of rows, b c h 1, and of columns, b c 1 w."""
        return x.mean(3, keepdim=True), x.mean(2, keepdim=True)

    def excite(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The gates of rows, b c h 1, and of columns, b c 1 w, from the statistics."""
        height = rows.shape[2]
        f = self.act(self.bn1(self.conv1(torch.cat([rows, columns.transpose(2, 3)], 2))))
        rows, columns = f[:, :, :height], f[:, :, height:].transpose(2, 3)
        return self.conv_h(rows).sigmoid(), self.conv_w(columns).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The product of both gates, b c h w, in (0, 1)."""
        rows, columns = self.excite(*self.statistics(x))
        return rows * columns

    def rescaled(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """x, rescaled by the gates of its row and of its column, b c h w."""
        return x * columns * rows

    @fused(gated_by(("mean", 3), ("mean", 2)), where=rows_are_faster)
    def forward(self, x: Tensor) -> Tensor:
        return self.rescaled(x, *self.excite(*self.statistics(x)))
