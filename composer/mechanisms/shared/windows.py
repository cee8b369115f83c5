"""What each tap of a kernel sees: a map, shifted and perhaps strided."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]


def taps(x: Tensor, kernel: Pair, stride: Pair = (1, 1)) -> list[Tensor]:
    """Views of a single padded copy of a map … h w, one for each tap of an odd kernel, row by row: … h' w'.

    Beyond its edges the map is 0, and h' w' is what a convolution with this kernel and stride makes of h w.
    """
    rows, columns = kernel
    down, across = stride
    high, wide = x.shape[-2:]
    padded = F.pad(x, (columns // 2, columns // 2, rows // 2, rows // 2))
    places = [(a, b) for a in range(rows) for b in range(columns)]
    return [padded[..., a : a + high : down, b : b + wide : across] for a, b in places]


def local_sum(weights: Tensor, x: Tensor, kernel: Pair, stride: Pair = (1, 1)) -> Tensor:
    """The weighted sum of what the taps see, one product at a time to save memory: weights … taps h' w', x … h w."""
    seen = taps(x, kernel, stride)
    y = weights.select(-3, 0) * seen[0]
    for index, one in enumerate(seen[1:], 1):
        y += weights.select(-3, index) * one
    return y


# Not traced: they look at sizes.
torch.fx.wrap("local_sum")
