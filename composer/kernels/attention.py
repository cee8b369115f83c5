"""Softmax attention with a learnt bias, which no fused kernel of PyTorch differentiates."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def attended_in_full(module: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """softmax_keys(q kᵀ / sqrt(p) + bias) v: b heads n p, b heads m p, b heads m p, 1 heads n m -> b heads n p.

    Every query must see a key: PyTorch's own form looks for rows of -inf. Where PyTorch has a fused kernel, or
    more than the precision of q, it is left to do it.
    """
    if not (torch.is_grad_enabled() and bias.requires_grad) or q.dtype == torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    flat, keys, values = (one.flatten(0, 1) for one in (q, k, v))
    # Half of the scale for each, as PyTorch does it: the same bits.
    scale = math.sqrt(1 / math.sqrt(q.shape[3]))
    logits = torch.bmm(flat * scale, (keys * scale).transpose(1, 2))
    # In place: the product does not need its result.
    weights = logits.unflatten(0, q.shape[:2]).add_(bias).softmax(-1)
    return torch.bmm(weights.flatten(0, 1), values).unflatten(0, q.shape[:2])
