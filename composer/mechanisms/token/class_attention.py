"""Class attention. Touvron et al., Going Deeper with Image Transformers, ICCV 2021."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from composer.layers.attention import ContextAttention, drawn, in_heads, talking_weights
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")


@mechanism(
    "class_attention",
    kind="token",
    place={"replace": "mixer", "where": "last"},
    aliases=("cait", "class-attention", "ClassAttn", "class token attention", "CLS attention", "类别注意力"),
)
class ClassAttention(ContextAttention):
    """Replace the class token by a mixture of all tokens, weighted by how well they match it; the others stay.

    Shape:   b n c -> b n c        the first token is the class token
    Math:    y_1 = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(q_i K_iᵀ / sqrt(p)),  p = c / H
             q of the class token alone, keys and values of all tokens;  y_j = x_j,  j > 1;  0 with `others: zero`
    Params:  4c² + 4c;  4c² + c without qkv_bias;  2H² + 2H more with talking_heads
    MACs:    2c² + 2nc² + 2nc;  2nH² more with talking_heads
    Source:  Touvron et al., Going Deeper with Image Transformers, ICCV 2021, sec. 3. arXiv:2103.17239
    Departs: nothing. timm's `ClassAttn` gives y_1 alone.
    Start:   timm's: N(0, 0.02²) linear maps, cut off at -2 and 2, and zero biases.

    In a block with a shortcut, `others: zero` leaves the patches as they are, which is CaiT's, and `others: keep` adds
    them to themselves, which is XCiT's (arXiv:2106.09681). The cost grows with n. `num_heads` is H. `talking_heads`
    maps the weights over the heads before and after the softmax (arXiv:2003.02436): CaiT does so in the blocks without
    class token, for which `mhsa` has an option of that name.

    It raises ValueError at a map, and at tokens that are not known to have a class token.

    >>> sum(p.numel() for p in ClassAttention(64, 1).parameters())
    16640
    """

    def __init__(
        self,
        channels: int,
        prefix_tokens: int,
        *,
        num_heads: PositiveInt = 8,
        qkv_bias: bool = True,
        others: Literal["keep", "zero"] = "keep",
        talking_heads: bool = False,
    ):
        dim_of_heads("class_attention", channels, num_heads)
        if not prefix_tokens:
            text = "these tokens are not known to have a class token in front of them"
            raise ValueError(f"class_attention: {text}; put it where they have one, or write `grid` at the input")
        super().__init__(channels, num_heads=num_heads, qkv_bias=qkv_bias, name="class_attention")
        self.others = others
        self.proj_l = drawn(num_heads, num_heads) if talking_heads else None
        self.proj_w = drawn(num_heads, num_heads) if talking_heads else None

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all tokens for the class token, b heads 1 n, at least float32; they sum to 1.

        With talking heads they need not.
        """
        if self.proj_l is None or self.proj_w is None:
            return self.weights(x[:, :1], x)
        q, k = in_heads(self.q(x[:, :1]), self.num_heads), in_heads(self.k(x), self.num_heads)
        return at_least_float32(
            talking_weights(q * (x.shape[2] // self.num_heads) ** -0.5, k, self.proj_l, self.proj_w)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.proj_l is None:
            y = self.mixed(x[:, :1], x)
        else:
            v = in_heads(self.v(x), self.num_heads)
            y = self.proj((self.attention(x).to(v.dtype) @ v).transpose(1, 2).flatten(2))
        rest = x[:, 1:]
        return torch.cat([y, rest if self.others == "keep" else torch.zeros_like(rest)], 1)
