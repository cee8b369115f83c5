"""Sums and products over maps on the CPU, none of which makes a temporary as large as the map.

A map that is larger than the caches is worked through in groups of samples: what one step makes of a group is still in
the cache for the next step. Memory for a large temporary costs more than its arithmetic, since the system clears it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Bytes of a group of samples: a core's share of the caches.
GROUP = 2**19
# Positions from which on a pass by batch norm's kernel is faster than a product and a sum in the cache.
MANY = 512
# Bytes of a batch from which on a plain formula's temporaries leave the caches.
LARGE = 2**21


def positions(x: Tensor) -> tuple[int, ...]:
    """The axes behind batch and channels."""
    return tuple(range(2, x.ndim))


def is_large(module: Any, x: Tensor, *others: Tensor, last: int = 4) -> bool:
    """Whether a batch of maps is so large that a kernel of fewer passes over it is the faster one.

    Only for kernels that keep what the plain formula keeps: the memory of an example must not depend on the batch.

    last  the share of it that is enough in channels_last, where plain products are slower: 4 is a quarter
    """
    return x.nbytes >= LARGE // (1 if x.is_contiguous() else last)


def has_many_positions(module: Any, x: Tensor, many: int = 100) -> bool:
    """Whether maps, whatever their number, are so large that a kernel is the faster one."""
    return math.prod(x.shape[2:]) >= many


def groups(x: Tensor) -> Iterator[slice]:
    """Slices of the batch, of about GROUP bytes each."""
    count = max(1, GROUP // (x[0].numel() * x.element_size()))
    return (slice(first, first + count) for first in range(0, len(x), count))


def in_format_of(x: Tensor, y: Tensor) -> Tensor:
    """y with the strides of x within a sample, where samples of x are dense; y itself if it has them."""
    return y if y.stride()[1:] == x.stride()[1:] else torch.empty_like(x).copy_(y)


def mean(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """The mean of each channel over the positions: b c … -> b c 1 …, in `dtype` or that of x."""
    axes = positions(x)
    if x.dtype == (dtype or x.dtype) == torch.float32 or x.dtype == torch.float64:
        return x.mean(axes, keepdim=True, dtype=dtype)
    # Sums of half precision are made of a copy in float32.
    return torch.cat([x[group].mean(axes, keepdim=True, dtype=dtype) for group in groups(x)])


def product_sum(g: Tensor, x: Tensor) -> Tensor:
    """The sum of g x over the positions, both b c … with the same strides within a sample -> b c 1 …"""
    axes = positions(x)
    whole = x.is_contiguous() and g.is_contiguous()
    last = x.ndim == 4 and x[0].movedim(0, -1).is_contiguous()
    if math.prod(x.shape[2:]) >= MANY and (whole or last or x[0].is_contiguous()):
        pairs = [(g.flatten(0, 1)[None], x.flatten(0, 1)[None])] if whole else zip(g.split(1), x.split(1), strict=True)
        found = torch.stack([_by_batch_norm(*pair) for pair in pairs])
        return found.view(*x.shape[:2], *[1] * len(axes)).to(x.dtype)
    return torch.cat([(g[group] * x[group]).sum(axes, keepdim=True) for group in groups(x)])


def _by_batch_norm(g: Tensor, x: Tensor) -> Tensor:
    """The sum of g x for each channel of 1 c …: a norm's gradient for its weight, where mean is 0 and variance 1."""
    precision = torch.promote_types(x.dtype, torch.float32)
    zeros, ones = (torch.full((x.shape[1],), value, dtype=precision) for value in (0, 1))
    wanted = [False, True, False]
    return torch.ops.aten.native_batch_norm_backward(g, x, ones, zeros, ones, None, None, False, 0.0, wanted)[1]


def scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x scale + shift in one pass: b c … with factors and terms b c 1 …, in the strides of x."""
    if x.is_contiguous():
        # A batch norm of mean 0 and variance 1.
        precision = torch.promote_types(x.dtype, torch.float32)
        weight, bias = (one.to(precision).flatten() for one in (scale, shift))
        rows = x.flatten(2).flatten(0, 1)[None]
        y = F.batch_norm(rows, torch.zeros_like(weight), torch.ones_like(weight), weight, bias, False, 0.0, 0.0)
        return y.view_as(x)
    return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype), out=torch.empty_like(x))
