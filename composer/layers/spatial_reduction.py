"""Attention of a map's positions to a smaller copy of the map: the mixer of PVTv2 and of Twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.layers.attention import check_heads, drawn, in_heads, weights_of
from composer.options import PositiveInt
from composer.registry import layer

# Side of the map that `linear_attn` pools to.
POOLED = 7


def _reduced_layout(inputs: Sequence[Any], *, sr_ratio: int = 1, **options: Any) -> str:
    (x,) = inputs
    if x.layout != "b h w c":
        raise ValueError(f"`spatial_reduction_attention` works on `b h w c`, found `{x.layout}`; rearrange it")
    if min(x.axis("h"), x.axis("w")) < sr_ratio:
        raise ValueError(
            f"`spatial_reduction_attention` cannot reduce a map of {x.axis('h')}×{x.axis('w')} by {sr_ratio}; "
            f"set sr_ratio to {min(x.axis('h'), x.axis('w'))} or less"
        )
    return "b h w c"


@layer("spatial_reduction_attention", kind="token", layout=_reduced_layout)
class SpatialReductionAttention(nn.Module):
    """Give each position of a map a mixture of the positions of a smaller copy, weighted by how well they match.

    Shape:   b h w c -> b h w c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p)),  p = c / H
             queries of x; keys and values of LN(conv(x)), r x r at stride r, or of x itself at r = 1
             linear_attn: keys and values of gelu(LN(conv(pool(x)))), pooled to 7 x 7, then 1 x 1
    Params:  4c² + 4c;  with r > 1 or linear_attn also r²c² + 3c
    Source:  Wang et al., PVT v2, 2022, sec. 3. arXiv:2106.13797

    `sr_ratio` is r, `num_heads` is H; with `linear_attn` the cost is linear in the positions, and r is not used. Names
    of the weights are timm's.

    >>> sum(p.numel() for p in SpatialReductionAttention(64, num_heads=2, sr_ratio=2).parameters())
    33216
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: PositiveInt = 8,
        sr_ratio: PositiveInt = 1,
        linear_attn: bool = False,
        qkv_bias: bool = True,
    ):
        super().__init__()
        check_heads("spatial_reduction_attention", channels, num_heads)
        self.num_heads, self.linear_attn = num_heads, linear_attn
        self.q = drawn(channels, channels, qkv_bias)
        self.kv = drawn(channels, 2 * channels, qkv_bias)
        self.proj = drawn(channels, channels)
        side = 1 if linear_attn else sr_ratio
        self.sr = self._reduction(channels, side) if linear_attn or side > 1 else None
        self.norm = nn.LayerNorm(channels) if self.sr is not None else None

    @staticmethod
    def _reduction(channels: int, side: int) -> nn.Conv2d:
        made = nn.Conv2d(channels, channels, side, side)
        nn.init.normal_(made.weight, std=(2 / (side * side * channels)) ** 0.5)
        assert made.bias is not None
        nn.init.zeros_(made.bias)
        return made

    def _reduced(self, x: Tensor) -> Tensor:
        """The tokens that are looked at: b h w c -> b m c"""
        if self.sr is None or self.norm is None:
            return x.flatten(1, 2)
        maps = x.permute(0, 3, 1, 2)
        if self.linear_attn:
            maps = F.adaptive_avg_pool2d(maps, POOLED)
        y = self.norm(self.sr(maps).flatten(2).transpose(1, 2))
        return F.gelu(y) if self.linear_attn else y

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k, v = self.kv(self._reduced(x)).unflatten(2, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return in_heads(self.q(x).flatten(1, 2), self.num_heads), k, v

    def attention(self, x: Tensor) -> Tensor:
        """The weights of the smaller map's positions for each position (row), b heads (h w) m, at least float32."""
        q, k, _ = self._heads(x)
        return weights_of(q, k, q.shape[3] ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = F.scaled_dot_product_attention(*self._heads(x)).transpose(1, 2).flatten(2)
        return torch.unflatten(self.proj(y), 1, x.shape[1:3])

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}"
