"""MHSA: multi-head self-attention. Vaswani et al., Attention Is All You Need, NeurIPS 2017."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism("mhsa", kind="token")
class MultiHeadSelfAttention(nn.Module):
    """Replace each token by a mixture of all tokens, weighted by how well its query matches their keys.

    Shape:   b n c -> b n c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p)),  Q_i, K_i, V_i: c -> p
    Params:  4cHp + 3Hp + c;  4cHp without bias;  p = c / H unless `head_dim` sets it
    Source:  Vaswani et al., Attention Is All You Need, NeurIPS 2017, sec. 3.2. arXiv:1706.03762
    Departs: biases are on, as in ViT; the equations have none. No dropout.

    >>> sum(p.numel() for p in MultiHeadSelfAttention(64).parameters())
    16640
    """

    def __init__(
        self, channels: int, *, num_heads: PositiveInt = 8, head_dim: PositiveInt | None = None, bias: bool = True
    ):
        super().__init__()
        if head_dim is None:
            if channels % num_heads:
                raise ValueError(
                    f"mhsa: {channels} channels do not divide into {num_heads} heads; "
                    "set num_heads to a divisor, or set head_dim"
                )
            head_dim = channels // num_heads
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.qkv = nn.Linear(channels, 3 * num_heads * head_dim, bias=bias)
        self.proj = nn.Linear(num_heads * head_dim, channels, bias=bias)
        for layer in (self.qkv, self.proj):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        qkv = rearrange(self.qkv(x), "b n (three h p) -> three b h n p", three=3, h=self.num_heads)
        return qkv.unbind(0)

    def attention(self, x: Tensor) -> Tensor:
        """Who looks at whom, b heads n n, at least float32; rows sum to 1. Recomputed: forward never holds it."""
        q, k, _ = self._heads(x)
        precise = torch.promote_types(q.dtype, torch.float32)
        logits = torch.einsum("bhip,bhjp->bhij", q.to(precise) * self.head_dim**-0.5, k.to(precise))
        return logits.softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(rearrange(y, "b h n p -> b n (h p)"))
