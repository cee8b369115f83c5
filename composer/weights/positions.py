"""Moves learnt positions to another map: embeddings of a grid, and biases for offsets within a window."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resample_grid(positions: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Embeddings 1 (skip + h w) c of a grid h w, resampled to another grid by antialiased bicubic interpolation.

    positions  1 (skip + h w) c; the first `skip`, such as a class token's position, stay as they are
    source     h and w of the grid that the positions were made for
    target     h and w of the result
    """
    skip = positions.shape[1] - source[0] * source[1]
    kept, grid = positions[:, :skip], positions[:, skip:].float()
    grid = grid.reshape(1, *source, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=target, mode="bicubic", antialias=True)
    return torch.cat([kept, grid.permute(0, 2, 3, 1).reshape(1, target[0] * target[1], -1).to(positions.dtype)], 1)


def resample_offsets(table: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """A table (2i - 1)(2j - 1) x heads of a window i x j, resampled linearly to another window.

    The source's offsets are spread over the target's with steps that grow from the centre, so that the nearest
    neighbours keep their own values (Bao et al., BEiT, ICLR 2022, in its released code).
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
    """Values given at `places` of an axis, interpolated at the whole numbers around 0; constant beyond the ends."""
    wanted = torch.arange(length, dtype=torch.float32) - length // 2
    right = torch.bucketize(wanted, places).clamp(1, len(places) - 1)
    before, behind = places[right - 1], places[right]
    share = ((wanted - before) / (behind - before)).clamp(0, 1)
    shape = [-1 if one == axis else 1 for one in range(values.ndim)]
    share = share.view(shape)
    return values.index_select(axis, right - 1) * (1 - share) + values.index_select(axis, right) * share


def _spread(old: int, new: int) -> Tensor:
    """Positions of the old offsets among the new. Steps grow as 1, q, q² …, with the q that reaches the edge."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        low, high = (low, ratio) if _sum(ratio, old // 2) > new // 2 else (ratio, high)
    outwards = [_sum(ratio, count) for count in range(1, old // 2 + 1)]
    return torch.tensor([*(-one for one in reversed(outwards)), 0.0, *outwards])


def _sum(ratio: float, count: int) -> float:
    return (1 - ratio**count) / (1 - ratio)
