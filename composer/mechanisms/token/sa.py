"""SA: scaled dot-product self-attention, one head. Vaswani et al., Attention Is All You Need, NeurIPS 2017."""

from __future__ import annotations

from typing import Literal

from composer.mechanisms.token.mhsa import MultiHeadSelfAttention, plain_attention
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism("sa", kind="token", reference=plain_attention, aliases=("single-head self-attention",))
class SelfAttention(MultiHeadSelfAttention):
    """Replace each token by a mixture of all tokens, weighted by how well a single query matches their keys.

    Shape:   b n c -> b n c
    Math:    y = W_o A V        A = softmax_keys(Q Kᵀ / sqrt(p)),  Q, K, V: c -> p
    Params:  4cp + 3p + c;  4cp without bias
    MACs:    4ncp + 2n²p
    Source:  Vaswani et al., Attention Is All You Need, NeurIPS 2017, sec. 3.2.1. arXiv:1706.03762
    Departs: biases are on, as in ViT; the equations have none. No dropout.
    Start:   timm's ViT: N(0, 0.02²), cut off at -2 and 2, and zero biases; the paper does not state it.

    `head_dim` is p.

    >>> sum(p.numel() for p in SelfAttention(64).parameters())
    16640
    """

    def __init__(
        self, channels: int, *, head_dim: PositiveInt = 64, bias: bool = True, mode: Literal["soft", "hard"] = "soft"
    ):
        super().__init__(channels, num_heads=1, head_dim=head_dim, bias=bias, mode=mode)
