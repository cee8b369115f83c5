"""BoT: the self-attention of BoTNet. Srinivas et al., Bottleneck Transformers, CVPR 2021."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.options import PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("in_format_of")
torch.fx.wrap("of_built_size")


def _plain(module: BottleneckSelfAttention, x: Tensor) -> Tensor:
    """The same output, computed with stored weights, without fused attention."""
    _, _, v = module._heads(x)
    y = module.attention(x).to(v.dtype) @ v
    return module.pool(y.transpose(2, 3).flatten(1, 2).unflatten(2, module.size))


@mechanism(
    "bot",
    kind="token",
    layout="b c h w",
    replaces="conv",
    reference=_plain,
    aliases=("bottleneck transformer", "botnet", "BottleneckAttn"),
)
class BottleneckSelfAttention(nn.Module):
    """Replace each position by a mixture of all positions, weighted by content and by relative row and column.

    Shape:   b c h w -> b o h/s w/s
    Math:    y = A V        A = softmax_keys(q (k + r)ᵀ / sqrt(p)),  r = row[i' - i] + column[j' - j],  in each head
    Params:  3co + (2h - 1 + 2w - 1) p;  p = o / H
    MACs:    3co h w + 2o (h w)² + o h w (h + w)
    Source:  Srinivas et al., Bottleneck Transformers for Visual Recognition, CVPR 2021, fig. 4. arXiv:2101.11605
    Departs: nothing. There is no output projection; at stride 2 the result is averaged over 2 × 2, as in the paper.
    Start:   the authors' code: N(0, 0.01²) projections and, as it says it means to, N(0, 1 / p) tables.

    Its tables of positions fit maps of a single size; it raises ValueError for others. `num_heads` is H.

    >>> sum(p.numel() for p in BottleneckSelfAttention(64, 64, 7, 7).parameters())
    12704
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        height: int,
        width: int,
        stride: Size = 1,
        *,
        num_heads: PositiveInt = 4,
    ):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, dim_of_heads("bot", out_channels, num_heads)
        self.size = (height, width)
        self.qkv = nn.Conv2d(in_channels, 3 * out_channels, 1, bias=False)
        self.row = nn.Parameter(torch.randn(2 * height - 1, self.head_dim) * self.head_dim**-0.5)
        self.column = nn.Parameter(torch.randn(2 * width - 1, self.head_dim) * self.head_dim**-0.5)
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride not in (1, (1, 1)) else nn.Identity()
        nn.init.normal_(self.qkv.weight, std=0.01)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        qkv = self.qkv(of_built_size(x, self.size, "bot:"))
        qkv = qkv.unflatten(1, (3, self.num_heads, self.head_dim)).flatten(4).permute(1, 0, 2, 4, 3)
        return side_by_side(qkv).unbind(0)

    def _positions(self, q: Tensor) -> Tensor:
        return relative_logits(q, self.row, self.column, self.size)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b heads n n, at least float32; rows sum to 1."""
        q, k, _ = self._heads(x)
        return weights_of_keys(q, k, self._positions(q))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        y = attend(q, k, v, self._positions(q).to(q.dtype))
        return in_format_of(x, self.pool(y.transpose(2, 3).flatten(1, 2).unflatten(2, self.size)))


def relative_logits(q: Tensor, row: Tensor, column: Tensor, size: tuple[int, int]) -> Tensor:
    """q rᵀ / sqrt(p) for relative rows and columns: b heads n p, 2h-1 p, 2w-1 p -> b heads n n, for a map of h × w."""
    height, width = size
    q = q.unflatten(2, size) * q.shape[-1] ** -0.5
    rows = torch.einsum("bmhwp,hpk->bmhwk", q, _shifted(row, height))
    columns = torch.einsum("bmhwp,wpl->bmhwl", q, _shifted(column, width))
    return (rows.unsqueeze(-1) + columns.unsqueeze(-2)).flatten(4).flatten(2, 3)


def _shifted(table: Tensor, length: int) -> Tensor:
    """Per position i, the entries for the offsets j - i to every j: i p j. The first entry is for 1 - length."""
    return table.unfold(0, length, 1).flip(0)


def side_by_side(x: Tensor) -> Tensor:
    """The tensor with a last axis without gaps, as fused attention needs. A channels_last tensor stays as it is."""
    return x if x.stride(-1) == 1 else x.contiguous()


def weights_of_keys(q: Tensor, k: Tensor, positions: Tensor) -> Tensor:
    """softmax(q kᵀ / sqrt(p) + positions) over keys, b heads n n, in float32 or better."""
    with full_precision(q):
        logits = torch.einsum("bmip,bmjp->bmij", at_least_float32(q) * q.shape[-1] ** -0.5, at_least_float32(k))
    return (logits + positions).softmax(-1)


def attend(q: Tensor, k: Tensor, v: Tensor, positions: Tensor) -> Tensor:
    """The values v mixed by `weights_of_keys`: b heads n p."""
    if torch.onnx.is_in_onnx_export():
        # ONNX export decomposes fused attention with a mask into a result with other strides than traced.
        return weights_of_keys(q, k, positions).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=positions)


# Functions that look at strides, devices and exporters are not traced.
torch.fx.wrap("side_by_side")
torch.fx.wrap("weights_of_keys")
torch.fx.wrap("attend")
