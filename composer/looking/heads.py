"""Figures of where a patch looks in each head."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from composer.amounts import plural
from composer.looking.canvas import COLOURS, SEQUENTIAL, label, panels, picture, rows_of, scale
from composer.looking.chosen import Chosen
from composer.looking.forms import TokenMaps, WindowMaps
from composer.looking.gather import Gathered
from composer.looking.nodes import Grid
from composer.looking.overlays import COLUMNS, is_even, laid, shared_range
from composer.looking.overlays import EVEN as EVEN_MAP
from composer.looking.photograph import Photo
from composer.looking.plates import Plate
from composer.looking.queries import Looks, Patch, bounds, looks_from

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADS = 12
SITES_A_PLATE = 6
# Longer names of sites do not fit over the picture of a head.
NARROW = 14


def head_plates(gathered: Gathered, mechanism: str, found: Sequence[Looks], chosen: Chosen | None) -> list[Plate]:
    """Where the chosen patch looks in each head, per photograph; matrices for tokens without positions."""
    mapped = [
        one for one in found if chosen is not None and looks_from(one, 0, chosen.within(one.site.grid)) is not None
    ]
    rest = [one for one in found if one not in mapped and isinstance(one, TokenMaps)]
    plates = []
    parts = [mapped[start : start + SITES_A_PLATE] for start in range(0, len(mapped), SITES_A_PLATE)]
    for number, photo in enumerate(gathered.photos):
        for count, part in enumerate(parts):
            assert chosen is not None
            plates.append(
                Plate(
                    f"{mechanism}-heads-{number + 1}" + (f"-{count + 1}" if len(parts) > 1 else ""),
                    f"Where a patch of {photo.name} looks"
                    + (f", part {count + 1} of {len(parts)}" if len(parts) > 1 else ""),
                    f"A row for each site: {chosen}, framed"
                    + (" (and, dotted, all that it can look at)" if isinstance(part[0], WindowMaps) else "")
                    + ", then where it looks: the mean of all heads and each of "
                    f"the first {HEADS}. The maps of a row have one range of colours, from 0 to the largest share; one "
                    f"that deviates by less than {EVEN_MAP:.0%} of its size is called even.",
                    f"Maps of where {chosen} looks, for {plural(len(part), 'site')}.",
                    partial(_heads, part, photo, number, chosen),
                    is_map=True,
                )
            )
    if rest:
        plates.append(
            Plate(
                f"{mechanism}-matrices",
                "Attention between tokens that are no positions",
                "A row of each matrix is who a token looks at, mean over heads, for the first image.",
                f"Matrices of {plural(len(rest), 'site')}.",
                partial(_matrices, rest),
            )
        )
    return plates


def _heads(found: Sequence[Looks], photo: Photo, number: int, chosen: Chosen) -> Figure:
    rows = [_titled(one, number, chosen) for one in found]
    columns = 1 + max(map(len, rows))
    # Names of sites may take two lines.
    made, grid = panels(
        len(found), columns, aspect=photo.size[0] / photo.size[1], gap=(0.05, 0.38), top=0.35, widest=1.2
    )
    for one, maps, line in zip(found, rows, grid, strict=True):
        picture(line[0], photo.pixels, _name(one.site.path))
        patch, sides = chosen.within(one.site.grid), one.site.grid or chosen.grid
        frame(line[0], photo, patch, sides)
        if isinstance(one, WindowMaps):
            corner, extent = bounds(one, patch)
            frame(line[0], photo, corner, sides, extent, linestyle=":")
        colours = shared_range(values for _, values in maps)
        for (title, values), place in zip(maps, line[1:], strict=False):
            inside = values[_within(one, patch)]
            laid(place, photo, values, title, colours, even=is_even(inside))
        for place in line[1 + len(maps) :]:
            place.remove()
    return made


def _name(path: str) -> str:
    """A path above a narrow picture, over two lines of most similar length."""
    names = path.split(".")
    heads = [".".join(names[:count]) for count in range(1, len(names))]
    if len(path) <= NARROW or not heads:
        return label(path, 16)
    first = min(heads, key=lambda head: max(len(head) + 1, len(path) - len(head) - 1))
    return f"{label(first + '.', 16)}\n{label(path[len(first) + 1 :], 16)}"


def _within(one: Looks, patch: Patch) -> tuple[slice, slice]:
    """The rows and columns of the map at which a patch may look."""
    if not isinstance(one, WindowMaps):
        return slice(None), slice(None)
    (top, left), (rows, columns) = bounds(one, patch)
    return slice(top, top + rows), slice(left, left + columns)


def _titled(one: Looks, number: int, chosen: Chosen) -> list[tuple[str, Tensor]]:
    """Titled maps of where the patch looks in the first heads, after the mean of all heads if there are several."""
    maps = looks_from(one, number, chosen.within(one.site.grid))
    assert maps is not None
    heads = [(f"head {head}", values) for head, values in enumerate(maps[:HEADS], 1)]
    return [("mean", maps.mean(0)), *heads] if len(maps) > 1 else heads


def frame(place: Axes, photo: Photo, patch: Patch, grid: Grid, extent: Grid = (1, 1), **line: Any) -> None:
    """Draw a frame over a photograph around `extent` rows and columns of a grid, from a patch on."""
    from matplotlib.patches import Rectangle

    high, wide = photo.size[0] / grid[0], photo.size[1] / grid[1]
    corner = (patch[1] * wide - 0.5, patch[0] * high - 0.5)
    size = extent[1] * wide, extent[0] * high
    place.add_patch(Rectangle(corner, *size, fill=False, edgecolor=COLOURS[5], linewidth=1, **line))


def _matrices(found: Sequence[TokenMaps]) -> Figure:
    columns = min(COLUMNS, len(found))
    made, grid = panels(rows_of(found, columns), columns)
    places = [place for line in grid for place in line]
    for one, place in zip(found, places, strict=False):
        values = one.values[0].mean(0)
        picture(place, values.numpy(), label(one.site.path, 26), cmap=SEQUENTIAL)
        scale(place, float(values.min()), float(values.max()))
    for place in places[len(found) :]:
        place.remove()
    return made
