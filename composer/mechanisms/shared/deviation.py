"""The unbiased variance over positions, which a map of a single position has too."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def variance(centred: Tensor, positions: Sequence[int]) -> Tensor:
    """The sum of the squares of what has mean 0, over one less than their number; 0 for a single position.

    `positions` are the axes of positions, which stay, with length 1.
    """
    count = 1
    for axis in positions:
        count = count * centred.shape[axis]
    # max(count - 1, 1), written so that tracers of sizes follow it.
    return centred.square().sum(tuple(positions), keepdim=True) / (count - 1 + 1 // count)
