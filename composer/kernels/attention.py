"""Softmax attention with a learnt bias, which no fused kernel of PyTorch differentiates."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def is_bfloat16(module: Any, q: Tensor, *others: Tensor) -> bool:
    """Whether PyTorch's own form would train in float32, in twice the memory."""
    return q.dtype == torch.bfloat16


def attended_in_full(module: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """softmax_keys(q kᵀ / sqrt(p) + bias) v: b heads n p, b heads m p, b heads m p, … n m -> b heads n p.

    Every query must see a key: PyTorch's own form looks for rows of -inf, and trains bfloat16 in float32, which takes
    twice the memory. Where PyTorch has a fused kernel it is left to do it, but for bfloat16 on a CPU, where it is slow.
    """
    slow = q.dtype == torch.bfloat16 and q.device.type == "cpu"
    if not (slow or (torch.is_grad_enabled() and bias.requires_grad)):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    flat, keys, values = (one.flatten(0, 1) for one in (q, k, v))
    scale = 1 / math.sqrt(q.shape[3])
    if slow:
        logits = torch.bmm(flat * scale, keys.transpose(1, 2))
    else:
        # Half of the scale for each, as PyTorch does it: the same bits.
        logits = torch.bmm(flat * math.sqrt(scale), (keys * math.sqrt(scale)).transpose(1, 2))
    # In place: the product does not need its result.
    weights = logits.unflatten(0, q.shape[:2]).add_(bias).softmax(-1)
    return torch.bmm(weights.flatten(0, 1), values).unflatten(0, q.shape[:2])
