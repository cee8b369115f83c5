"""Fused attention for values that are wider or narrower than queries, which no fused kernel takes as they are."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def attend_wide(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """softmax(scale q kᵀ) v over keys: b n p, b m p, b m v -> b n v.

    The values are cut into groups of p, the last one filled up with zeros, and each group is a head with the same
    queries and keys: the logits are computed once per group, and never stored.
    """
    per, width = q.shape[-1], v.shape[-1]
    heads = math.ceil(width / per)
    v = F.pad(v, (0, heads * per - width)).unflatten(2, (heads, per)).transpose(1, 2)
    q, k = (one.unsqueeze(1).expand(-1, heads, -1, -1) for one in (q, k))
    return F.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).flatten(2)[..., :width]


def tokens(x: Tensor) -> Tensor:
    """A map b c h w as tokens, b n c, in rows without gaps, as fused attention needs."""
    return x.flatten(2).transpose(1, 2).contiguous()


# Not traced: the number of heads is worked out from shapes.
torch.fx.wrap("attend_wide")
