"""MHSA: multi-head self-attention. Vaswani et al., Attention Is All You Need, NeurIPS 2017."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.options import PositiveFloat, PositiveInt
from composer.registry import mechanism


def plain_attention(module: MultiHeadSelfAttention, x: Tensor) -> Tensor:
    """The same output, computed with stored weights, without fused attention."""
    _, _, v = module._heads(x)
    y = module.attention(x).to(v.dtype) @ v
    return module.proj(y.transpose(1, 2).flatten(2))


@mechanism(
    "mhsa",
    kind="token",
    reference=plain_attention,
    aliases=("multi-head self-attention", "self-attention", "MultiheadAttention", "transformer attention", "自注意力"),
)
class MultiHeadSelfAttention(nn.Module):
    """Replace each token by a mixture of all tokens, weighted by how well its query matches their keys.

    Shape:   b n c -> b n c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p)),  Q_i, K_i, V_i: c -> p
    Params:  4cHp + 3Hp + c;  4cHp without bias        p = c / H unless `head_dim` sets it
    MACs:    4ncHp + 2n²Hp
    Source:  Vaswani et al., Attention Is All You Need, NeurIPS 2017, sec. 3.2. arXiv:1706.03762
    Departs: biases are on, as in ViT; the equations have none. No dropout.
    Start:   timm's ViT: N(0, std²), cut off at -2 and 2, and zero biases; the paper does not state it.

    `num_heads` is H. `mode: hard` gives each token the value of its best key, with the gradient of the soft mixture.

    >>> sum(p.numel() for p in MultiHeadSelfAttention(64).parameters())
    16640
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: PositiveInt = 8,
        head_dim: PositiveInt | None = None,
        bias: bool = True,
        mode: Literal["soft", "hard"] = "soft",
        std: PositiveFloat = 0.02,
    ):
        super().__init__()
        if head_dim is None:
            head_dim = dim_of_heads("mhsa", channels, num_heads, ", or set head_dim")
        self.num_heads, self.head_dim, self.mode = num_heads, head_dim, mode
        self.qkv = nn.Linear(channels, 3 * num_heads * head_dim, bias=bias)
        self.proj = nn.Linear(num_heads * head_dim, channels, bias=bias)
        for layer in (self.qkv, self.proj):
            nn.init.trunc_normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        qkv = self.qkv(x).unflatten(2, (3, self.num_heads, self.head_dim))
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        soft = softmax_of_keys(q, k, self.head_dim**-0.5)
        return straight_through(soft) if self.mode == "hard" else soft

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all tokens for each token (row), b heads n n, at least float32; rows sum to 1.

        A soft forward never stores them.
        """
        q, k, _ = self._heads(x)
        return self._weights(q, k)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        hard = self.mode == "hard"
        y = self._weights(q, k).to(v.dtype) @ v if hard else F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).flatten(2))


def softmax_of_keys(q: Tensor, k: Tensor, scale: float) -> Tensor:
    """softmax(scale q kᵀ) over keys: b h n p, b h m p -> b h n m, in float32 or better."""
    with full_precision(q):
        logits = torch.einsum("bhip,bhjp->bhij", at_least_float32(q) * scale, at_least_float32(k))
    return logits.softmax(-1)


# A region without autocast cannot be traced.
torch.fx.wrap("softmax_of_keys")


def straight_through(soft: Tensor) -> Tensor:
    """1 at the largest weight of each row and 0 elsewhere, with the gradient of the weights themselves."""
    hard = torch.zeros_like(soft).scatter(-1, soft.argmax(-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())
