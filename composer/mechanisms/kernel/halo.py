"""Halo: blocked local self-attention. Vaswani et al., Scaling Local Self-Attention …, CVPR 2021."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.attention import attended_in_full, is_bfloat16
from composer.mechanisms.kernel.bot import attend, side_by_side, weights_of_keys
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.options import NonNegativeInt, PositiveInt, Size
from composer.registry import mechanism

for _name in ("attend", "in_format_of", "of_built_size", "side_by_side", "weights_of_keys"):
    torch.fx.wrap(_name)


@mechanism(
    "halo",
    kind="token",
    layout="b c h w",
    replaces="conv",
    aliases=(
        *("halonet", "halo attention", "haloattn", "blocked local attention", "local self-attention"),
        "光环注意力",
    ),
)
class HaloAttention(nn.Module):
    """Replace each position by a mixture of its block and a halo around it, weighted by content and relative position.

    Shape:   b c h w -> b o h/s w/s
    Math:    y_ij = sum_ab A_ab v_ab        over ij's block and halo, k × k positions ab, in each head
             A = softmax_ab(q_ijᵀ k_ab / sqrt(p) + q_ijᵀ (row[a - i] + column[b - j])),  p = o / H
    Params:  3co + (4k - 2) p
    MACs:    2co h w + co h' w' + 2o k² m + 2o k m        m: queries of the map padded to whole blocks
    Source:  Vaswani et al., Scaling Local Self-Attention for Parameter Efficient Visual Backbones, CVPR 2021.
             arXiv:2103.12731
    Departs: the equations do not divide by sqrt(p): `scale: none`. We know of no code of the authors; this is timm's,
             but for strides: there, offsets count queries, here positions. timm refuses maps that blocks do not divide.
    Start:   timm's: N(0, 1 / c) projections and N(0, 1 / p) tables, cut off at -2 and 2; the paper does not state it.

    Outside the map keys and values are 0 but still take part, as in the padding of a convolution; so whole blocks cover
    maps of any size. k is `block_size` + 2 `halo_size`, `num_heads` is H. At stride s every s-th query is kept, as in
    the paper. `scale: content` divides q k alone by sqrt(p), `both` the positions' part too. Of the 2k - 1 offsets in a
    table, those between a position and its block's halo are in use, k + block_size - 1. `attended` has the positions
    that weights refer to. It raises ValueError for maps of another size than the built one.

    >>> sum(p.numel() for p in HaloAttention(64, 64, 56, 56).parameters())
    12720
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        height: int,
        width: int,
        stride: Size = 1,
        *,
        block_size: PositiveInt = 8,
        halo_size: NonNegativeInt = 3,
        num_heads: PositiveInt = 8,
        scale: Literal["content", "both", "none"] = "content",
    ):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, dim_of_heads("halo", out_channels, num_heads)
        self.steps = (stride, stride) if isinstance(stride, int) else stride
        for step in self.steps:
            if block_size % step:
                fits = -(-block_size // step) * step
                text = f"blocks of {block_size} do not divide by the stride {step}"
                raise ValueError(f"halo: {text}; set block_size to {fits}")
        self.out_size = (-(-height // self.steps[0]), -(-width // self.steps[1]))
        self.size, self.block, self.halo, self.scale = (height, width), block_size, halo_size, scale
        self.window = block_size + 2 * halo_size
        self.q = nn.Conv2d(in_channels, out_channels, 1, self.steps, bias=False)
        self.kv = nn.Conv2d(in_channels, 2 * out_channels, 1, bias=False)
        self.height_rel = nn.Parameter(torch.empty(2 * self.window - 1, self.head_dim))
        self.width_rel = nn.Parameter(torch.empty(2 * self.window - 1, self.head_dim))
        for projection in (self.q.weight, self.kv.weight):
            nn.init.trunc_normal_(projection, std=in_channels**-0.5)
        for table in (self.height_rel, self.width_rel):
            nn.init.trunc_normal_(table, std=self.head_dim**-0.5)

    def _blocks(self, x: Tensor) -> Tensor:
        """Queries of blocks that cover the map: b heads rows columns i j p"""
        down, across = (self.block // step for step in self.steps)
        q = self.q(x)
        q = F.pad(q, (0, -self.out_size[1] % across, 0, -self.out_size[0] % down))
        grid = q.unflatten(3, (-1, across)).unflatten(2, (-1, down)).unflatten(1, (self.num_heads, self.head_dim))
        return grid.permute(0, 1, 3, 5, 4, 6, 2)

    def _windows(self, x: Tensor) -> tuple[Tensor, ...]:
        """Keys and values of each block and its halo, b (heads rows columns) k² p"""
        kv = self.kv(x)
        down, right = (-length % self.block for length in self.size)
        kv = F.pad(kv, (self.halo, self.halo + right, self.halo, self.halo + down))
        kv = kv.unfold(2, self.window, self.block).unfold(3, self.window, self.block)
        kv = kv.unflatten(1, (self.num_heads, 2, self.head_dim)).permute(2, 0, 1, 4, 5, 6, 7, 3)
        return kv.flatten(5, 6).flatten(2, 4).unbind(0)

    def _positions(self, q: Tensor) -> Tensor:
        """The logits that relative rows and columns add, b heads rows columns i j k²"""
        q = q * self.head_dim**-0.5 if self.scale == "both" else q
        rows = torch.einsum("bmrcijp,iap->bmrcija", q, self._table(self.height_rel, self.steps[0]))
        columns = torch.einsum("bmrcijp,jap->bmrcija", q, self._table(self.width_rel, self.steps[1]))
        return (rows.unsqueeze(-1) + columns.unsqueeze(-2)).flatten(-2)

    def _table(self, table: Tensor, step: int) -> Tensor:
        """Per query of a block, at positions 0, step …, the entries for all rows (or columns) of the window: i k p"""
        first = self.window - self.block
        return table[first:].unfold(0, self.window, 1).flip(0)[::step].transpose(1, 2)

    def _queries(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries, scaled so that division by sqrt(p) is left, and logits to add: b (heads rows columns) n p, … n k²"""
        q = self._blocks(x)
        positions = self._positions(q).flatten(4, 5).flatten(1, 3)
        q = q * self.head_dim**0.5 if self.scale == "none" else q
        return side_by_side(q.flatten(4, 5).flatten(1, 3)), positions

    def _heads(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, ...]]:
        x = of_built_size(x, self.size, "halo:")
        return self._queries(x), self._windows(x)

    def _map(self, y: Tensor) -> Tensor:
        """b (heads rows columns) n p -> b heads p h/s w/s, without what the last blocks have beyond the map"""
        inside = tuple(self.block // step for step in self.steps)
        grid = (self.num_heads, *(-(-length // self.block) for length in self.size))
        y = y.unflatten(1, grid).unflatten(4, inside).permute(0, 1, 6, 2, 4, 3, 5).flatten(5).flatten(3, 4)
        height, width = self.out_size
        return y[:, :, :, :height, :width]

    def attention(self, x: Tensor) -> Tensor:
        """The weights of a position's block and halo, b heads h/s w/s k², at least float32; the last axis sums to 1."""
        (q, positions), (k, _) = self._heads(x)
        weights = weights_of_keys(q, k, positions)
        return self._map(weights).permute(0, 1, 3, 4, 2)

    @property
    def attended(self) -> Tensor:
        """Row and column of the k² positions that each position's weights refer to, h/s w/s k² 2; nan outside."""
        axes = []
        for length, step in zip(self.size, self.steps, strict=True):
            start = torch.arange(0, length, step) // self.block * self.block - self.halo
            places = (start[:, None] + torch.arange(self.window)).float()
            axes.append(places.masked_fill((places < 0) | (places >= length), float("nan")))
        rows, columns = axes
        shape = (len(rows), len(columns), self.window, self.window)
        pairs = torch.stack([rows[:, None, :, None].expand(shape), columns[None, :, None, :].expand(shape)], -1)
        return pairs.masked_fill(pairs.isnan().any(-1, keepdim=True), float("nan")).flatten(2, 3)

    @fused(attended_in_full, where=is_bfloat16)
    def _attended(self, q: Tensor, k: Tensor, v: Tensor, positions: Tensor) -> Tensor:
        return attend(q, k, v, positions)

    def forward(self, x: Tensor) -> Tensor:
        (q, positions), (k, v) = self._heads(x)
        y = self._attended(q, k, v, positions.to(q.dtype))
        return in_format_of(x, self._map(y).flatten(1, 2))
