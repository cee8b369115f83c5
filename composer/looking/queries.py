"""Where a token looks: rows of attention as maps, and how far and how evenly they reach."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from composer.errors import Diagnostic, InputError
from composer.looking.forms import TokenMaps, WindowMaps
from composer.looking.nodes import Grid
from composer.looking.rollout import patch_maps

Looks = TokenMaps | WindowMaps
Patch = tuple[int, int]


def finest(found: Sequence[Looks]) -> Grid | None:
    """The largest grid of positions that token attention works on; None where none has one."""
    grids = [one.site.grid for one in found if one.site.grid is not None]
    return max(grids, key=lambda grid: grid[0] * grid[1], default=None)


def check_patch(patch: Patch | None, grid: Grid) -> Patch:
    """A patch of a grid: the one that was asked for, or the one at the centre. Raises InputError."""
    if patch is None:
        return grid[0] // 2, grid[1] // 2
    if not (0 <= patch[0] < grid[0] and 0 <= patch[1] < grid[1]):
        text = f"there is no patch {patch[0]},{patch[1]} in a grid of {grid[0]}×{grid[1]}"
        label = f"ROW,COLUMN from 0,0 to {grid[0] - 1},{grid[1] - 1}"
        raise InputError(Diagnostic("patch", text, label=label))
    return patch


def in_grid(patch: Patch, of: Grid, grid: Grid) -> Patch:
    """The patch of another grid that covers the middle of one.

    >>> in_grid((7, 3), (14, 14), (7, 7)), in_grid((3, 3), (7, 7), (14, 14))
    ((3, 1), (7, 7))
    """
    row, column = (int((at + 0.5) * new / old) for at, new, old in zip(patch, grid, of, strict=True))
    return row, column


def looks_from(one: Looks, image: int, patch: Patch) -> Tensor | None:
    """Where a patch of the site's own grid looks, heads rows columns; None for tokens that are no positions."""
    grid = one.site.grid
    if isinstance(one, WindowMaps):
        return _unfolded(one.values[image, :, patch[0], patch[1]], patch, (one.values.shape[2], one.values.shape[3]))
    if grid is None or one.keys is None:
        return None
    number = patch[0] * grid[1] + patch[1]
    if one.keys == grid:
        return patch_maps(one.values[image], number, grid, prefix=one.prefix)
    return one.values[image, :, one.prefix + number, one.prefix :].unflatten(1, one.keys)


def _unfolded(window: Tensor, patch: Patch, grid: Grid) -> Tensor:
    """Weights of a window around a patch, heads k², in their places of the map; what lies outside is left out."""
    side = math.isqrt(window.shape[1])
    reach = side // 2
    padded = torch.zeros(len(window), grid[0] + 2 * reach, grid[1] + 2 * reach)
    padded[:, patch[0] : patch[0] + side, patch[1] : patch[1] + side] = window.unflatten(1, (side, side))
    return padded[:, reach : reach + grid[0], reach : reach + grid[1]]


def evenness(one: Looks) -> float:
    """The entropy of the rows of attention by that of even ones, mean over heads and tokens of the first image."""
    rows = one.values[0].flatten(1, -2)
    if rows.shape[-1] < 2:
        return 0.0
    return float(torch.special.entr(rows.clamp(min=0)).sum(-1).mean()) / math.log(rows.shape[-1])


def reach(one: Looks) -> float | None:
    """How far a position looks on average, in steps of its grid, mean over heads and positions of the first image."""
    grid = one.site.grid
    if grid is None:
        return None
    if isinstance(one, WindowMaps):
        side = math.isqrt(one.values.shape[-1])
        return float((one.values[0] * _distances((side, side))[side * side // 2]).sum(-1).mean())
    if one.keys != grid:
        return None
    weights = one.values[0, :, one.prefix :, one.prefix :]
    total = weights.sum(-1).clamp(min=1e-12)
    return float(((weights * _distances(grid)).sum(-1) / total).mean())


def _distances(grid: Grid) -> Tensor:
    """Between any two positions of a grid, n n."""
    rows, columns = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    return torch.cdist(places, places)
