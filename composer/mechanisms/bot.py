"""BoT: the self-attention of BoTNet. Srinivas et al., Bottleneck Transformers, CVPR 2021."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from composer.mechanisms.divisors import dim_of_heads
from composer.mechanisms.mhsa import full_precision
from composer.options import PositiveInt, Size
from composer.registry import mechanism


@mechanism("bot", kind="token", layout="b c h w", replaces="conv")
class BottleneckSelfAttention(nn.Module):
    """Replace each position by a mixture of all positions, weighted by content and by relative row and column.

    Shape:   b c h w -> b o h/s w/s
    Math:    y = A V        A = softmax_keys(q (k + r)ᵀ / sqrt(p)),  r = row[i' - i] + column[j' - j],  in each head
    Params:  3co + (2h - 1 + 2w - 1) p;  p = o / H
    MACs:    3co h w + 2o (h w)² + o h w (h + w)
    Source:  Srinivas et al., Bottleneck Transformers for Visual Recognition, CVPR 2021, fig. 4. arXiv:2101.11605
    Departs: nothing. There is no output projection; at stride 2 the result is averaged over 2 × 2, as in the paper.

    Its tables of positions fit maps of one size only, and it refuses others.

    >>> sum(p.numel() for p in BottleneckSelfAttention(64, 64, 7, 7).parameters())
    12704
    """

    _rows: Tensor
    _columns: Tensor

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
        self.register_buffer("_rows", _offsets(height), persistent=False)
        self.register_buffer("_columns", _offsets(width), persistent=False)
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride not in (1, (1, 1)) else nn.Identity()
        nn.init.normal_(self.qkv.weight, std=in_channels**-0.5)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        if tuple(x.shape[2:]) != self.size:
            found = "×".join(map(str, x.shape[2:]))
            wanted = "×".join(map(str, self.size))
            raise ValueError(f"bot: built for maps of {wanted}, found {found}; build it for that size")
        qkv = rearrange(self.qkv(x), "b (three m p) h w -> three b m (h w) p", three=3, m=self.num_heads)
        # Attention runs fused only where the values of a head stand side by side, as they do in channels_last.
        return (qkv if qkv.stride(-1) == 1 else qkv.contiguous()).unbind(0)

    def _positions(self, q: Tensor) -> Tensor:
        """What rows and columns add to the logits, b heads n n."""
        q = rearrange(q, "b m (h w) p -> b m h w p", h=self.size[0]) * self.head_dim**-0.5
        rows = torch.einsum("bmhwp,hkp->bmhwk", q, self.row[self._rows])
        columns = torch.einsum("bmhwp,wlp->bmhwl", q, self.column[self._columns])
        return rearrange(rows.unsqueeze(-1) + columns.unsqueeze(-2), "b m h w k l -> b m (h w) (k l)")

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        precise = torch.promote_types(q.dtype, torch.float32)
        with full_precision(q):
            logits = torch.einsum("bmip,bmjp->bmij", q.to(precise) * self.head_dim**-0.5, k.to(precise))
        return (logits + self._positions(q)).softmax(-1)

    def attention(self, x: Tensor) -> Tensor:
        """Who looks at whom, b heads n n, at least float32; rows sum to 1."""
        q, k, _ = self._heads(x)
        return self._weights(q, k)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        if torch.onnx.is_in_onnx_export():
            # Its decomposition of fused attention with a mask lays the result out in another way than it was traced.
            y = self._weights(q, k).to(v.dtype) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=self._positions(q).to(q.dtype))
        return self.pool(y.transpose(2, 3).flatten(1, 2).unflatten(2, self.size))


def _offsets(length: int) -> Tensor:
    """Index of j - i in a table that starts at 1 - length: i, j."""
    positions = torch.arange(length)
    return positions[None, :] - positions[:, None] + length - 1
