"""SCSA: spatial and channel synergistic attention. Si et al., 2024."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.channel_norm import ChannelNorm
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.options import PositiveInt
from composer.registry import mechanism

# Lengths of the kernels, one for each quarter of the channels.
_KERNELS = (3, 5, 7, 9)
# The zeros between rows and columns, which are convolved as one: those that the longest kernel needs.
_GAP = 4


@mechanism(
    "scsa",
    kind="channel+spatial",
    aliases=("spatial and channel synergistic attention", "空间通道协同注意力"),
)
class SynergisticAttention(nn.Module):
    """Rescale each element by gates of its row and column, then each channel by what it draws from channels like it.

    Shape:   b c h w -> b c h w
    Math:    y = x' * sigmoid(mean(A V))        x' = x * f(mean_w(x)) * f'(mean_h(x)),  f(z) = sigmoid(GN_4(conv(z)))
             conv: depthwise, of length 3, 5, 7 and 9 for the quarters of the channels, the same for rows and columns
             A = softmax(Q Kᵀ / sqrt(p)) over the p channels of each of H heads;  Q, K, V = q z, k z, v z: a number for
             each channel,  z = GN_1(the means of x' in m × n windows of side × side)
    Params:  16c
    MACs:    6c (h + w + 4) + c m w (h + n) + 3c m n + 2c p m n
    Source:  Si et al., SCSA: Exploring the Synergistic Effects Between Spatial and Channel Attention, 2024.
             arXiv:2407.05128
    Departs: windows are no larger than the map, where the authors' code fails. Their number is that of the size of its
             place: on a map of another size they grow with it, where the authors' code has more of them. What
             circulates as SCSA in issues of detectors is CBAM under another name.
    Start:   the authors' networks: q, k and v N(0, 2 / c); conv and its biases as PyTorch does, U(-b, b) with
             b = 1 / sqrt(length of the kernel).

    `num_heads` is H, p = c / H; `window` is the side. Rows and columns that do not fill a window are left out of z.

    >>> sum(p.numel() for p in SynergisticAttention(64, 56, 56).parameters())
    1024
    """

    def __init__(self, channels: int, height: int, width: int, *, num_heads: PositiveInt = 8, window: PositiveInt = 7):
        super().__init__()
        if channels % 4:
            raise ValueError(f"scsa: {channels} channels have no four quarters; put it where 4 divides their number")
        self.num_heads, self.head_dim = num_heads, dim_of_heads("scsa", channels, num_heads)
        # Of rows and of columns: the side of a window, the length that it was made for.
        self.sides = ((min(window, height), height), (min(window, width), width))
        quarter = channels // 4
        self.convs = nn.ModuleList(nn.Conv1d(quarter, quarter, k, padding=k // 2, groups=quarter) for k in _KERNELS)
        self.norm_h = ChannelNorm(channels, 4)
        self.norm_w = ChannelNorm(channels, 4)
        self.norm = nn.GroupNorm(1, channels)
        self.q = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.k = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.v = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        for layer in (self.q, self.k, self.v):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def _strips(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gates of rows, b c h 1, and of columns, b c 1 w."""
        height = x.shape[2]
        rows, columns = x.mean(3), x.mean(2)
        # One call, since quantisers refuse a layer that is called twice.
        between = torch.zeros_like(rows[:, :, :1]).expand(-1, -1, _GAP)
        parts = torch.cat([rows, between, columns], 2).chunk(4, 1)
        z = torch.cat([conv(parts[index]) for index, conv in enumerate(self.convs)], 1)
        rows, columns = self.norm_h(z[:, :, :height]), self.norm_w(z[:, :, height + _GAP :])
        return rows.sigmoid().unsqueeze(3), columns.sigmoid().unsqueeze(2)

    def _channels(self, x: Tensor) -> Tensor:
        """The gate of each channel, b c 1 1."""
        height, width = x.shape[2:]
        rows, columns = windows(*self.sides[0], height, x), windows(*self.sides[1], width, x)
        z = self.norm(rows @ x @ columns.transpose(0, 1))
        q, k, v = (one.flatten(2).unflatten(1, (self.num_heads, -1)) for one in (self.q(z), self.k(z), self.v(z)))
        y = F.scaled_dot_product_attention(q, k, v, scale=self.head_dim**-0.5)
        return y.flatten(1, 2).mean(2).sigmoid().unsqueeze(2).unsqueeze(3)

    def attention(self, x: Tensor) -> Tensor:
        """The product of the three gates, b c h w, in (0, 1)."""
        rows, columns = self._strips(x)
        return rows * columns * self._channels(x * rows * columns)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self._strips(x)
        x = x * rows * columns
        return x * self._channels(x)


def windows(side: int, built: int, length: int, like: Tensor) -> Tensor:
    """The shares of the places of a length in each window, count length.

    On the length `built` there are `built // side` windows of `side` places; on another as many, in proportion.
    """
    place = torch.arange(length, device=like.device)
    window = torch.arange(built // side, device=like.device).unsqueeze(1)
    first, last = window * side * length // built, (window + 1) * side * length // built
    # Windows of a far smaller map share its places.
    inside = ((place >= first) & (place < torch.maximum(last, first + 1))).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


torch.fx.wrap("windows")
