"""Learnt positions of one map on another: embeddings of a grid, and biases for the offsets within a window."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resample_grid(positions: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Embeddings 1 (skip + h w) c of a grid on another one, by antialiased bicubic interpolation.

    What stands before the grid, such as the position of a class token, stays as it is.
    """
    skip = positions.shape[1] - source[0] * source[1]
    kept, grid = positions[:, :skip], positions[:, skip:].float()
    grid = grid.reshape(1, *source, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=target, mode="bicubic", antialias=True)
    return torch.cat([kept, grid.permute(0, 2, 3, 1).reshape(1, target[0] * target[1], -1).to(positions.dtype)], 1)


def resample_offsets(table: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """A table (2i - 1)(2j - 1) x heads of a window i x j for another window, linearly.

    The offsets of the source are spread to those of the target by steps that grow from the centre, so that the
    neighbours of a position keep their own numbers (Bao et al., BEiT, ICLR 2022, in its released code).
    """
    old, new = _lengths(source), _lengths(target)
    values = table.float().reshape(*old, -1)
    for axis in (0, 1):
        if old[axis] != new[axis]:
            values = _along(values, axis, _spread(old[axis], new[axis]), new[axis])
    return values.reshape(new[0] * new[1], -1).to(table.dtype)


def _lengths(window: tuple[int, int]) -> tuple[int, int]:
    return 2 * window[0] - 1, 2 * window[1] - 1


def _along(values: Tensor, axis: int, places: Tensor, length: int) -> Tensor:
    """Values that stand at `places` of an axis, at the whole numbers around 0; the outermost where there is none."""
    wanted = torch.arange(length, dtype=torch.float32) - length // 2
    right = torch.bucketize(wanted, places).clamp(1, len(places) - 1)
    before, behind = places[right - 1], places[right]
    share = ((wanted - before) / (behind - before)).clamp(0, 1)
    shape = [-1 if one == axis else 1 for one in range(values.ndim)]
    share = share.view(shape)
    return values.index_select(axis, right - 1) * (1 - share) + values.index_select(axis, right) * share


def _spread(old: int, new: int) -> Tensor:
    """Where the old offsets stand among the new: 1, q, q² … apart, with the q that takes the last to the edge."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        low, high = (low, ratio) if _sum(ratio, old // 2) > new // 2 else (ratio, high)
    outwards = [_sum(ratio, count) for count in range(1, old // 2 + 1)]
    return torch.tensor([*(-one for one in reversed(outwards)), 0.0, *outwards])


def _sum(ratio: float, count: int) -> float:
    return (1 - ratio**count) / (1 - ratio)
