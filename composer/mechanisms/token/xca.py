"""XCA: cross-covariance attention. El-Nouby et al., XCiT, NeurIPS 2021."""

from __future__ import annotations

from composer.layers.attention import CrossCovarianceAttention
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "xca",
    kind="token",
    aliases=(
        *("xcit", "cross-covariance attention", "cross covariance attention", "transposed attention"),
        *("channel self-attention", "交叉协方差注意力"),
    ),
)
class CrossCovariance(CrossCovarianceAttention):
    """Replace each channel by a mixture of its head's channels, weighted by how alike they are over all tokens.

    Shape:   b n c -> b n c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(t_i q_i k_iᵀ),  Q_i, K_i, V_i: p × n,  p = c / H
             q_i and k_i are Q_i and K_i, each channel divided by its length over the tokens; t_i, learnt, starts at 1
    Params:  4c² + 4c + H;  3c less without qkv_bias
    MACs:    4nc² + 2ncp
    Source:  El-Nouby et al., XCiT: Cross-Covariance Image Transformers, NeurIPS 2021, sec. 3.2. arXiv:2106.09681
    Departs: nothing.
    Start:   timm's: N(0, 0.02²) linear maps, cut off at -2 and 2, and zero biases.

    Its cost grows with the number of tokens, not with its square, and it takes any number. `num_heads` is H.

    >>> sum(p.numel() for p in CrossCovariance(64).parameters())
    16648
    """

    def __init__(self, channels: int, *, num_heads: PositiveInt = 8, qkv_bias: bool = True):
        dim_of_heads("xca", channels, num_heads)
        super().__init__(channels, num_heads=num_heads, qkv_bias=qkv_bias)
