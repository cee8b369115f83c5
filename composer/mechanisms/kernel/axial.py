"""Axial attention, sensitive to position. Wang et al., Axial-DeepLab, ECCV 2020."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
torch.fx.wrap("in_format_of")
torch.fx.wrap("of_built_size")


class AlongColumns(nn.Module):
    """Attention of each position of a map b c h w to those of its column, with relative rows: b o h w."""

    def __init__(self, in_channels: int, out_channels: int, length: int, num_heads: int, head_dim: int):
        super().__init__()
        self.num_heads, self.length = num_heads, length
        self.parts = (head_dim // 2, head_dim // 2, head_dim)
        self.qkv = nn.Conv2d(in_channels, 2 * out_channels, 1, bias=False)
        self.bn_qkv = nn.BatchNorm2d(2 * out_channels)
        self.bn_similarity = nn.BatchNorm2d(3 * num_heads)
        # The softmax over a row takes no notice of what is added to all of it.
        self.bn_similarity.register_parameter("bias", None)
        self.bn_output = nn.BatchNorm2d(2 * out_channels)
        self.relative = nn.Parameter(torch.randn(2 * head_dim, 2 * length - 1) * head_dim**-0.5)
        nn.init.normal_(self.qkv.weight, std=in_channels**-0.5)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        qkv = self.bn_qkv(self.qkv(x)).unflatten(1, (self.num_heads, -1)).split(self.parts, 2)
        return qkv[0], qkv[1], qkv[2]

    def _offsets(self) -> tuple[Tensor, Tensor, Tensor]:
        """What relative rows add for queries, keys and values: p i j. The first entry of a table is for 1 - length."""
        tables = self.relative.unfold(1, self.length, 1).flip(2).split(self.parts, 0)
        return tables[0], tables[1], tables[2]

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        rows, columns, _ = self._offsets()
        content = torch.einsum("bmpiw,bmpjw->bmwij", q, k)
        query = torch.einsum("bmpiw,pij->bmwij", q, rows)
        key = torch.einsum("bmpjw,pji->bmwij", k, columns)
        logits = self.bn_similarity(torch.cat([content, query, key], 1).flatten(2, 3))
        logits = logits.unflatten(1, (3, self.num_heads)).sum(1).unflatten(2, (-1, self.length))
        return at_least_float32(logits).softmax(-1)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of rows j for rows i of each column, b heads w i j, at least float32; the last axis sums to 1."""
        q, k, _ = self._heads(x)
        return self._weights(q, k)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        weights = self._weights(q, k).to(v.dtype)
        values = torch.einsum("bmwij,bmpjw->bmpiw", weights, v)
        places = torch.einsum("bmwij,pij->bmpiw", weights, self._offsets()[2])
        both = torch.stack([values, places], 3).flatten(1, 3)
        return self.bn_output(both).unflatten(1, (-1, 2)).sum(2)


@mechanism(
    "axial",
    kind="token",
    layout="b c h w",
    replaces="conv-norm-act",
    aliases=("axial attention", "axial-deeplab", "axialnet", "position-sensitive axial attention", "轴向注意力"),
)
class AxialAttention(nn.Module):
    """Replace each position by a mixture of its column, and then of its row, by content and by relative position.

    Shape:   b c h w -> b o h/s w/s
    Math:    y = relu(axial_w(axial_h(x)))        in each of H heads, along columns and then along rows:
             z_i = BN(sum_j A_ij v_j) + BN(sum_j A_ij r'_i-j)        Q, K, V = BN(W x): p / 2, p / 2 and p for a head
             A = softmax_j(BN(q_i k_j) + BN(q_i r_i-j) + BN(k_j r''_j-i)),  p = o / H
    Params:  2co + 2o² + 16o + 6H + 2p (2h - 1 + 2w - 1)
    MACs:    2co h w + 2o² h w + 7o h w (h + w) / 2
    Source:  Wang et al., Axial-DeepLab: Stand-Alone Axial-Attention for Panoptic Segmentation, ECCV 2020.
             arXiv:2003.07853
    Departs: the authors' code is followed, which has the norms inside, no division by sqrt(p), and averages the result
             at a stride. The norm of the logits has no bias, which their softmax cancels. Norm and relu of the replaced
             convolution are taken out; those in here stand for them.
    Start:   the authors' code: W N(0, 1 / inputs), tables N(0, 1 / p).

    Its tables of positions fit maps of a single size; it raises ValueError for others. `num_heads` is H. The tables r,
    r'' and r' are those of queries, keys and values, the same for all heads.

    >>> sum(p.numel() for p in AxialAttention(64, 64, 7, 7).parameters())
    17872
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        height: int,
        width: int,
        stride: Size = 1,
        *,
        num_heads: PositiveInt = 8,
    ):
        super().__init__()
        head_dim = dim_of_heads("axial", out_channels, num_heads)
        if head_dim % 2:
            text = f"{num_heads} heads of {head_dim} channels have no halves for queries and keys"
            raise ValueError(f"axial: {text}; set num_heads so that {out_channels} / num_heads is even")
        self.size = (height, width)
        self.height_block = AlongColumns(in_channels, out_channels, height, num_heads, head_dim)
        self.width_block = AlongColumns(out_channels, out_channels, width, num_heads, head_dim)
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride not in (1, (1, 1)) else nn.Identity()
        self.act = nn.ReLU()

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b heads n n, at least float32; rows sum to 1.

        They are products of the weights of both steps: along the row of a position, and then along the column of each.
        """
        x = of_built_size(x, self.size, "axial:")
        down = self.height_block.attention(x)
        across = self.width_block.attention(self.height_block(x).transpose(2, 3))
        return torch.einsum("bmijv,bmviu->bmijuv", across, down).flatten(4).flatten(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.height_block(of_built_size(x, self.size, "axial:"))
        y = self.width_block(y.transpose(2, 3)).transpose(2, 3)
        return in_format_of(x, self.act(self.pool(y)))
