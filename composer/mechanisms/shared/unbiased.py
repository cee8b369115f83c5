"""The unbiased mean of squares over positions, which a map of a single position has too."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def unbiased_mean(squares: Tensor, positions: Sequence[int]) -> Tensor:
    """The sum of squares of what has mean 0, over one less than their number: a variance. A single position has 0.

    `positions` are the axes of positions, which stay, with length 1.
    """
    count = 1
    for axis in positions:
        count = count * squares.shape[axis]
    # max(count - 1, 1), written so that tracers of sizes follow it.
    return squares.sum(tuple(positions), keepdim=True) / (count - 1 + 1 // count)
