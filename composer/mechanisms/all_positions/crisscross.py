"""Criss-cross attention. Huang et al., CCNet, ICCV 2019."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "crisscross",
    kind="token",
    group="global",
    layout="b c h w",
    place={"after": "stage", "where": "last"},
    aliases=("criss-cross attention", "ccnet", "cc attention", "rcca", "十字交叉注意力"),
)
class CrissCrossAttention(nn.Module):
    """Add to each position a mixture of the positions of its row and column, weighted by query and key.

    Shape:   b c h w -> b c h w
    Math:    y = x + gamma sum_i A_i V_i        over the h + w - 1 positions i of the same row or column
             A = softmax_i(Q Kᵀ),  Q, K: c -> d,  V: c -> c,  d = max(1, c // r)
    Params:  2cd + 2d + c² + c + 1
    MACs:    R (2cd h w + c² h w + (c + d) h w (h + w))
    Source:  Huang et al., CCNet: Criss-Cross Attention for Semantic Segmentation, ICCV 2019. arXiv:1811.11721
    Departs: nothing. d is the authors' code's.
    Start:   the authors' code: kernels and biases as PyTorch does, U(-b, b) with b = 1 / sqrt(c), and gamma = 0, so
             that it starts as the identity.

    `recurrence` is R, how often it is applied, with the same weights: with 2, as in CCNet, every position reaches every
    other. `reduction` is r.

    >>> sum(p.numel() for p in CrissCrossAttention(64, 7, 7).parameters())
    5201
    """

    def __init__(
        self, channels: int, height: int, width: int, *, reduction: PositiveInt = 8, recurrence: PositiveInt = 1
    ):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.size, self.recurrence = (height, width), recurrence
        self.query_conv = nn.Conv2d(channels, hidden, 1)
        self.key_conv = nn.Conv2d(channels, hidden, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    @property
    def attended(self) -> Tensor:
        """Row and column that each weight refers to, h w (h + w) 2, on maps of the built size."""
        height, width = self.size
        row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        rows = torch.cat([torch.arange(height).expand(height, width, -1), row[..., None].expand(-1, -1, width)], -1)
        columns = torch.cat(
            [column[..., None].expand(-1, -1, height), torch.arange(width).expand(height, width, -1)], -1
        )
        return torch.stack([rows, columns], -1).float()

    def attention(self, x: Tensor) -> Tensor:
        """The weights of the column and then of the row of each position, b 1 h w (h + w), at least float32.

        They are those of the last time that it is applied; the last axis sums to 1, and the position itself, which is
        in both, has weight 0 in its column.
        """
        for _ in range(self.recurrence - 1):
            x = self._apply_once(x)
        return _weights(self.query_conv(x), self.key_conv(x)).unsqueeze(1)

    def _apply_once(self, x: Tensor) -> Tensor:
        y = _mixture(_weights(self.query_conv(x), self.key_conv(x)), self.value_conv(x))
        return x + self.gamma * in_format_of(x, y)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.recurrence):
            x = self._apply_once(x)
        return x


def _weights(q: Tensor, k: Tensor) -> Tensor:
    """softmax(q k) over column and row: b d h w -> b h w (h + w), in float32 or better."""
    q, k = at_least_float32(q), at_least_float32(k)
    with full_precision(q):
        column = torch.einsum("bdhw,bdiw->bhwi", q, k)
        row = torch.einsum("bdhw,bdhj->bhwj", q, k)
    # A position is in its column and in its row; it counts once.
    itself = torch.eye(q.shape[2], dtype=torch.bool, device=q.device).unsqueeze(1)
    return torch.cat([column.masked_fill(itself, float("-inf")), row], -1).softmax(-1)


def _mixture(weights: Tensor, v: Tensor) -> Tensor:
    """The values of column and row, mixed: b h w (h + w), b c h w -> b c h w."""
    weights, height = weights.to(v.dtype), v.shape[2]
    column = torch.einsum("bciw,bhwi->bchw", v, weights[..., :height])
    return column + torch.einsum("bchj,bhwj->bchw", v, weights[..., height:])


# Not traced: they look at sizes and devices.
torch.fx.wrap("_weights")
torch.fx.wrap("_mixture")
torch.fx.wrap("in_format_of")
