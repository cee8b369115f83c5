"""The form of an attention value, found from its axes and from how it is applied."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from composer.looking.nodes import Grid
from composer.looking.sites import Site

# How values are applied -> the constant in them, which is added to the gate itself.
_OFFSETS = {"gate": 0.0, "1 + gate": 1.0}
# The most tokens before the patches, such as a class token; with more, the tokens are not those of the grid.
MOST_PREFIX = 8


@dataclass(frozen=True)
class Gates:
    """A value per channel, images c; `offset` is the constant in it, 1 for `1 + gate`."""

    site: Site
    part: str
    values: Tensor
    offset: float


@dataclass(frozen=True)
class SpatialMaps:
    """A value per position, images h w."""

    site: Site
    part: str
    values: Tensor


@dataclass(frozen=True)
class ElementMaps:
    """A value per channel and position, images c h w."""

    site: Site
    values: Tensor


@dataclass(frozen=True)
class Branches:
    """The share of each branch in each channel, images branches c."""

    site: Site
    values: Tensor


@dataclass(frozen=True)
class Routing:
    """The weight of each expert, images n."""

    site: Site
    values: Tensor


@dataclass(frozen=True)
class TokenMaps:
    """The weight of token m for token n, images heads n m.

    prefix  number of tokens before the positions of the site's grid, such as a class token
    keys    the grid of the tokens m, which may be coarser; None, like the site's grid, for tokens without a grid
    """

    site: Site
    values: Tensor
    prefix: int
    keys: Grid | None


@dataclass(frozen=True)
class WindowMaps:
    """The weights of the n positions in the window of each position, images heads h w n.

    The site's `attended` holds their places; without it, the window is the k x k positions around, n = k².
    """

    site: Site
    values: Tensor


@dataclass(frozen=True)
class Other:
    """A value of unknown form, unchanged, with the reason."""

    site: Site
    part: str
    values: Tensor
    reason: str


Form = Gates | SpatialMaps | ElementMaps | Branches | Routing | TokenMaps | WindowMaps | Other


def read(site: Site, value: Tensor, part: str = "") -> Form:
    """The form of a value whose first axis is images; Other if it fits no form, is empty or not finite."""
    if not value.numel():
        return Other(site, part, value, "is empty")
    if not value.isfinite().all():
        return Other(site, part, value, "holds values that are not finite")
    axes, lengths = value.ndim, tuple(value.shape)
    if site.applied == "positions":
        return _tokens(site, value, part)
    if site.applied == "branches" and axes == 5 and lengths[3:] == (1, 1):
        return Branches(site, value[..., 0, 0])
    if site.applied == "branches" and axes == 3:
        return Branches(site, value)
    if site.applied == "experts" and axes >= 2 and value[0].numel() == lengths[1]:
        return Routing(site, value.flatten(1))
    return _gates(site, value, part)


def _gates(site: Site, value: Tensor, part: str) -> Form:
    kind, lengths = part or site.kind, tuple(value.shape)
    offset = _OFFSETS.get(site.applied or "")
    if offset is not None:
        if value.ndim == 2 and kind == "channel":
            return Gates(site, part, value, offset)
        if value.ndim == 4 and lengths[1] == 1 and kind != "channel":
            return SpatialMaps(site, part, value[:, 0])
        if value.ndim == 3 and kind == "spatial":
            return SpatialMaps(site, part, value)
        if value.ndim == 4 and lengths[2:] == (1, 1):
            return Gates(site, part, value[..., 0, 0], offset)
        if value.ndim == 4:
            return ElementMaps(site, value)
    return Other(site, part, value, f"has axes that a {kind} attention seldom has")


def _tokens(site: Site, value: Tensor, part: str) -> Form:
    lengths = tuple(value.shape)
    if value.ndim == 5 and site.grid == lengths[2:4] and _is_window(site, lengths[4]):
        return WindowMaps(site, value)
    if value.ndim == 3:
        value, lengths = value[:, None], (lengths[0], 1, *lengths[1:])
    if value.ndim != 4:
        return Other(site, part, value, "has axes that a token attention seldom has")
    positions = 0 if site.grid is None else site.grid[0] * site.grid[1]
    prefix = lengths[2] - positions
    if not positions or not 0 <= prefix <= MOST_PREFIX:
        return TokenMaps(site, value, 0, None)
    return TokenMaps(site, value, prefix, _keys(site.grid, lengths[3], prefix))


def _is_window(site: Site, count: int) -> bool:
    """Whether `count` weights per position fit the site's window: that of `attended`, or a square."""
    if site.attended is not None:
        return tuple(site.attended.shape) == (*(site.grid or ()), count, 2)
    return math.isqrt(count) ** 2 == count


def _keys(grid: Grid | None, length: int, prefix: int) -> Grid | None:
    assert grid is not None
    half = (grid[0] // 2, grid[1] // 2)
    return next((one for one in (grid, half) if one[0] * one[1] + prefix == length), None)
