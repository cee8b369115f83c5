"""What an attention value is, told by how it is applied and by its axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from composer.dag.maps import Grid
from composer.looking.sites import Site

# How values are applied -> what the gate proper is added to.
_OFFSETS = {"gate": 0.0, "1 + gate": 1.0}
# A class token and its like stand before the patches; more than a few are something else.
MOST_PREFIX = 8


@dataclass(frozen=True)
class Gates:
    """A number for each channel, images c. `offset` is what the gate proper is added to."""

    site: Site
    part: str
    values: Tensor
    offset: float


@dataclass(frozen=True)
class SpatialMaps:
    """A number for each position, images h w."""

    site: Site
    part: str
    values: Tensor


@dataclass(frozen=True)
class ElementMaps:
    """A number for each position of each channel, images c h w."""

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
    """Who looks at whom, images heads n m.

    prefix  how many tokens stand before the positions of the site's grid, such as a class token
    keys    the grid of what is looked at, which may be coarser; None, like the site's grid, for tokens without one
    """

    site: Site
    values: Tensor
    prefix: int
    keys: Grid | None


@dataclass(frozen=True)
class WindowMaps:
    """What each position takes from others of its window, images heads h w n.

    `attended` of the site says where they are; without it they are the k x k around the position, n = k².
    """

    site: Site
    values: Tensor


@dataclass(frozen=True)
class Other:
    """A value of no known form, as it came."""

    site: Site
    part: str
    values: Tensor
    reason: str


Form = Gates | SpatialMaps | ElementMaps | Branches | Routing | TokenMaps | WindowMaps | Other


def read(site: Site, value: Tensor, part: str = "") -> Form:
    """The form of a value with the images first; Other for one that fits none, or is not finite."""
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
    """Whether so many weights for each position are those of a window that is known."""
    if site.attended is not None:
        return tuple(site.attended.shape) == (*(site.grid or ()), count, 2)
    return math.isqrt(count) ** 2 == count


def _keys(grid: Grid | None, length: int, prefix: int) -> Grid | None:
    assert grid is not None
    half = (grid[0] // 2, grid[1] // 2)
    return next((one for one in (grid, half) if one[0] * one[1] + prefix == length), None)
