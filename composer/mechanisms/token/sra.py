"""SRA: spatial-reduction attention. Wang et al., Pyramid Vision Transformer, ICCV 2021, and PVT v2, 2022."""

from __future__ import annotations

import torch
from torch import Tensor

from composer.layers.spatial_reduction import SpatialReductionAttention
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.memory_format import in_format_of
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("in_format_of")


@mechanism(
    "sra",
    kind="token",
    layout="b c h w",
    aliases=(
        *(
            "pvt",
            "pvt v2",
            "spatial reduction attention",
            "spatial-reduction attention",
            "linear sra",
            "emsa",
            "segformer",
        ),
        "空间缩减注意力",
    ),
)
class SpatialReduction(SpatialReductionAttention):
    """Replace each position by a mixture of the positions of a smaller copy of the map, by how well they match.

    Shape:   b c h w -> b c h w
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p)),  p = c / H
             queries of x; keys and values of LN(conv(x)), r × r at stride r, or of x itself at r = 1
             linear_attn: keys and values of gelu(LN(conv(pool(x)))), pooled to 7 × 7, then 1 × 1
    Params:  4c² + 7c + r²c²;  4c² + 4c at r = 1;  3c less without qkv_bias
    MACs:    2c² h w + 2c² m + r²c² m + 2c h w m;  4c² h w + 2c (h w)² at r = 1
    Source:  Wang et al., Pyramid Vision Transformer, ICCV 2021. arXiv:2102.12122; linear_attn: PVT v2: Improved
             Baselines with Pyramid Vision Transformer, 2022. arXiv:2106.13797
    Departs: nothing.
    Start:   the authors': N(0, 0.02²) linear maps, cut off at -2 and 2, N(0, 2 / r²c) convolution, and zero biases.

    `sr_ratio` is r, and `num_heads` is H. The smaller map has m positions, floor(h / r) floor(w / r). With
    `linear_attn` it has 49, and in `Params` and `MACs` r is 1 where the convolution is concerned.

    >>> sum(p.numel() for p in SpatialReduction(64, 14, 14).parameters())
    33216
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        num_heads: PositiveInt = 8,
        sr_ratio: PositiveInt = 2,
        linear_attn: bool = False,
        qkv_bias: bool = True,
    ):
        dim_of_heads("sra", channels, num_heads)
        smallest = min(height, width)
        if sr_ratio > smallest and not linear_attn:
            text = f"a map of {height}×{width} cannot be reduced by {sr_ratio}"
            raise ValueError(f"sra: {text}; set sr_ratio to {smallest} or less")
        super().__init__(channels, num_heads=num_heads, sr_ratio=sr_ratio, linear_attn=linear_attn, qkv_bias=qkv_bias)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of the smaller map's positions for each position (row), b heads (h w) m, at least float32."""
        return super().attention(x.permute(0, 2, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return in_format_of(x, super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
