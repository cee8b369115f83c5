"""Figures of where a patch looks in each head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.amounts import plural
from composer.looking.canvas import COLOURS, SEQUENTIAL, label, panels, picture, rows_of, scale
from composer.looking.chance import Chance
from composer.looking.chosen import Chosen
from composer.looking.forms import TokenMaps, WindowMaps
from composer.looking.gather import Gathered
from composer.looking.nodes import Grid
from composer.looking.overlays import COLUMNS, Shown, laid, of_chance, shared_range, span
from composer.looking.overlays import EVEN as EVEN_MAP
from composer.looking.photograph import Photo
from composer.looking.plates import Plate, Range
from composer.looking.queries import Looks, Patch, bounds, even_shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADS = 12
SITES_A_PLATE = 6
# The share of all values that the range of colours holds.
MOST = 0.99
# Longer names of sites do not fit over the picture of a head.
NARROW = 14


@dataclass(frozen=True)
class Row:
    """Where a patch looks at a site: the site's own values, and a map per head, after their mean if there are several
    heads, in multiples of the even share."""

    looks: Looks
    patch: Patch
    maps: Sequence[Shown]


def rows_from(found: Sequence[Looks], image: int, chosen: Chosen | None, chance: Chance) -> list[Row]:
    """Where the chosen patch of an image looks, at each site whose tokens are positions."""
    if chosen is None:
        return []
    rows = []
    for one in found:
        patch, twin = chosen.within(one.site.grid), chance.twin(one)
        maps = even_shares(one, image, patch)
        if maps is not None:
            untrained = None if twin is None else even_shares(twin, image, patch)
            rows.append(Row(one, patch, _titled(maps, untrained, _part(one, patch))))
    return rows


def _titled(maps: Tensor, untrained: Tensor | None, part: tuple[slice, slice]) -> list[Shown]:
    """The mean of all heads, if there are several, then the first heads, heads h w.

    Heads are in no order, so each stands beside the untrained head that reaches furthest.
    """
    mean = furthest = None
    if untrained is not None:
        mean, furthest = untrained.mean(0), max(untrained, key=lambda head: span(head[part]))
    heads = [Shown(f"head {number}", values, furthest, part) for number, values in enumerate(maps[:HEADS], 1)]
    return [Shown("mean", maps.mean(0), mean, part), *heads] if len(maps) > 1 else heads


def _part(one: Looks, patch: Patch) -> tuple[slice, slice]:
    """The rows and columns of the map at which a patch may look."""
    if not isinstance(one, WindowMaps):
        return slice(None), slice(None)
    (top, left), (rows, columns) = bounds(one, patch)
    return slice(top, top + rows), slice(left, left + columns)


def head_plates(
    gathered: Gathered, mechanism: str, found: Sequence[Looks], chosen: Chosen | None, chance: Chance
) -> list[Plate]:
    """Where the chosen patch looks in each head, per photograph; matrices for tokens without positions."""
    rows = [rows_from(found, number, chosen, chance) for number, _ in enumerate(gathered.photos)]
    colours = most_of(row for of_photo in rows for row in of_photo)
    plates = []
    for number, (photo, of_photo) in enumerate(zip(gathered.photos, rows, strict=True), 1):
        parts = [of_photo[start : start + SITES_A_PLATE] for start in range(0, len(of_photo), SITES_A_PLATE)]
        for count, part in enumerate(parts, 1):
            assert chosen is not None
            plates.append(
                Plate(
                    f"{mechanism}-heads-{number}" + (f"-{count}" if len(parts) > 1 else ""),
                    f"Where a patch of {photo.name} looks" + (f", part {count} of {len(parts)}" * (len(parts) > 1)),
                    f"A row for each site: {chosen}, framed"
                    + (" (and, dotted, all that it can look at)" if isinstance(part[0].looks, WindowMaps) else "")
                    + ", then where it looks: the mean of all heads and each of "
                    f"the first {HEADS}. Numbers are multiples of the even share: 1 is what each position gets from a "
                    "patch that looks at all it can alike. All maps have one range of colours, from 0; the "
                    f"{1 - MOST:.0%} of values that are above it have its last colour. One that deviates by less than "
                    f"{EVEN_MAP:.0%} of its size is called even." + of_chance(one for row in part for one in row.maps),
                    f"Maps of where {chosen} looks, for {plural(len(part), 'site')}.",
                    partial(_heads, part, photo, chosen),
                    is_map=True,
                    colours=colours,
                )
            )
    mapped = [row.looks for row in rows[0]] if rows else []
    rest = [one for one in found if isinstance(one, TokenMaps) and not any(one is other for other in mapped)]
    if rest:
        matrices = [one.values[0].mean(0) * one.values.shape[-1] for one in rest]
        plates.append(
            Plate(
                f"{mechanism}-matrices",
                "Attention between tokens that are no positions",
                "A row of each matrix is who a token looks at, mean over heads, for the first image, in multiples of "
                "the even share. All have one range of colours, from 0.",
                f"Matrices of {plural(len(rest), 'site')}.",
                partial(_matrices, [(one.site.path, values) for one, values in zip(rest, matrices, strict=True)]),
                colours=shared_range(matrices),
            )
        )
    return plates


def most_of(rows: Iterable[Row]) -> Range | None:
    """The range of colours that most values of all maps are in, from 0; None without maps.

    A single sharp head would leave all other maps dark if the range went up to its largest value.
    """
    telling = ((one.telling, one.telling_untrained) for row in rows for one in row.maps)
    seen = [values.flatten() for pair in telling for values in pair if values is not None]
    if not seen:
        return None
    values = torch.cat(seen)
    return 0.0, round(float(values.kthvalue(max(1, round(MOST * len(values)))).values), 7)


def _heads(rows: Sequence[Row], photo: Photo, chosen: Chosen, *, colours: Range) -> Figure:
    columns = 1 + max(len(row.maps) for row in rows)
    # Names of sites may take two lines.
    made, grid = panels(
        len(rows), columns, aspect=photo.size[0] / photo.size[1], gap=(0.05, 0.38), top=0.35, widest=1.2
    )
    for row, line in zip(rows, grid, strict=True):
        one = row.looks
        picture(line[0], photo.pixels, _name(one.site.path))
        patch, sides = row.patch, one.site.grid or chosen.grid
        frame(line[0], photo, patch, sides)
        if isinstance(one, WindowMaps):
            corner, extent = bounds(one, patch)
            frame(line[0], photo, corner, sides, extent, linestyle=":")
        for shown, place in zip(row.maps, line[1:], strict=False):
            laid(place, photo, shown, colours)
        for place in line[1 + len(row.maps) :]:
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


def frame(place: Axes, photo: Photo, patch: Patch, grid: Grid, extent: Grid = (1, 1), **line: Any) -> None:
    """Draw a frame over a photograph around `extent` rows and columns of a grid, from a patch on."""
    from matplotlib.patches import Rectangle

    high, wide = photo.size[0] / grid[0], photo.size[1] / grid[1]
    corner = (patch[1] * wide - 0.5, patch[0] * high - 0.5)
    size = extent[1] * wide, extent[0] * high
    place.add_patch(Rectangle(corner, *size, fill=False, edgecolor=COLOURS[5], linewidth=1, **line))


def _matrices(found: Sequence[tuple[str, Tensor]], *, colours: Range) -> Figure:
    columns = min(COLUMNS, len(found))
    made, grid = panels(rows_of(found, columns), columns)
    places = [place for line in grid for place in line]
    for (title, values), place in zip(found, places, strict=False):
        picture(place, values.numpy(), label(title, 26), cmap=SEQUENTIAL, vmin=colours[0], vmax=colours[1])
        scale(place, *colours)
    for place in places[len(found) :]:
        place.remove()
    return made
