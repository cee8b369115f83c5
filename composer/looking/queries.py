"""Where a token looks: rows of attention as maps, how far they reach, and how even they are."""

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
    """The largest grid of positions on which token attention works; None if there is none."""
    grids = [one.site.grid for one in found if one.site.grid is not None]
    return max(grids, key=lambda grid: grid[0] * grid[1], default=None)


def check_patch(patch: Patch | None, grid: Grid) -> Patch:
    """The requested patch of a grid, or the patch at the centre. Raises InputError."""
    if patch is None:
        return grid[0] // 2, grid[1] // 2
    if not (0 <= patch[0] < grid[0] and 0 <= patch[1] < grid[1]):
        text = f"there is no patch {patch[0]},{patch[1]} in a grid of {grid[0]}×{grid[1]}"
        label = f"ROW,COLUMN from 0,0 to {grid[0] - 1},{grid[1] - 1}"
        raise InputError(Diagnostic("patch", text, label=label))
    return patch


def in_grid(patch: Patch, of: Grid, grid: Grid) -> Patch:
    """The patch of another grid that covers the middle of a patch.

    >>> in_grid((7, 3), (14, 14), (7, 7)), in_grid((3, 3), (7, 7), (14, 14))
    ((3, 1), (7, 7))
    """
    row, column = (int((at + 0.5) * new / old) for at, new, old in zip(patch, grid, of, strict=True))
    return row, column


def looks_from(one: Looks, image: int, patch: Patch) -> Tensor | None:
    """Where a patch of the site's own grid looks, heads rows columns; None for tokens without positions."""
    grid = one.site.grid
    if isinstance(one, WindowMaps):
        rows, columns, inside = _window(one, patch)
        found = torch.zeros(one.values.shape[1:4])
        found[:, rows, columns] = one.values[image][:, patch[0], patch[1]][:, inside]
        return found
    if grid is None or one.keys is None:
        return None
    number = patch[0] * grid[1] + patch[1]
    if one.keys == grid:
        return patch_maps(one.values[image], number, grid, prefix=one.prefix)
    return one.values[image, :, one.prefix + number, one.prefix :].unflatten(1, one.keys)


def even_shares(one: Looks, image: int, patch: Patch) -> Tensor | None:
    """Where a patch looks, as `looks_from`, in multiples of the even share: 1 at every position if it looks at all that
    it can alike. So attention among few tokens and among many can be compared."""
    found = looks_from(one, image, patch)
    if found is None:
        return None
    return found * (int(_window(one, patch)[2].sum()) if isinstance(one, WindowMaps) else one.values.shape[-1])


def attended(one: WindowMaps) -> Tensor:
    """Row and column of the position that each weight refers to, h w n 2: outside the map, or nan, for no position.

    By default these are the positions of the window around each position.
    """
    if one.site.attended is not None:
        return one.site.attended
    height, width, count = one.values.shape[2:]
    side = math.isqrt(count)
    return _places((height, width))[:, :, None] + (_places((side, side)) - side // 2).flatten(0, 1)


def _window(one: WindowMaps, patch: Patch) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of the positions at which a patch may look, and which of its weights refer to them."""
    places = attended(one)[patch]
    seen = (one.values[:, :, patch[0], patch[1]] > 0).flatten(0, 1).any(0)
    size = torch.tensor(one.values.shape[2:4])
    # Comparisons with nan are False.
    inside = seen & ((places >= 0) & (places < size)).all(1)
    rows, columns = places[inside].long().unbind(1)
    return rows, columns, inside


def bounds(one: WindowMaps, patch: Patch) -> tuple[Patch, Grid]:
    """The upper left corner, and the rows and columns, of the rectangle of positions at which a patch may look."""
    rows, columns, _ = _window(one, patch)
    top, left = int(rows.min()), int(columns.min())
    return (top, left), (int(rows.max()) + 1 - top, int(columns.max()) + 1 - left)


def evenness(one: Looks) -> float:
    """The entropy of the rows of attention divided by that of even rows; mean over heads and tokens of the first image.

    Positions that a mask removes from a window do not count; a token that can look at only one position is left out.
    """
    rows = one.values[0].flatten(1, -2)
    entropy = torch.special.entr(rows.clamp(min=0)).sum(-1)
    counts = torch.full(entropy.shape[1:], rows.shape[-1])
    if isinstance(one, WindowMaps):
        counts = (one.values > 0).flatten(0, 1).any(0).sum(-1).flatten()
    several = counts > 1
    return float((entropy / counts.clamp(min=2).log())[:, several].mean()) if several.any() else 0.0


def reach(one: Looks) -> float | None:
    """How far a position looks on average, in steps of its grid; mean over heads and positions of the first image."""
    grid = one.site.grid
    if grid is None:
        return None
    if isinstance(one, WindowMaps):
        distances = (attended(one) - _places(grid)[:, :, None]).norm(dim=-1)
        return _mean_distance(one.values[0] * ~distances.isnan(), distances.nan_to_num())
    if one.keys != grid:
        return None
    places = _places(grid).flatten(0, 1)
    return _mean_distance(one.values[0, :, one.prefix :, one.prefix :], torch.cdist(places, places))


def _mean_distance(weights: Tensor, distances: Tensor) -> float:
    """Mean of the distances, weighted per row of weights heads … n, whose sum may be below 1; then mean over rows."""
    return float(((weights * distances).sum(-1) / weights.sum(-1).clamp(min=1e-12)).mean())


def _places(grid: Grid) -> Tensor:
    """Row and column of each position of a grid, h w 2."""
    rows, columns = (torch.arange(length, dtype=torch.float32) for length in grid)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
