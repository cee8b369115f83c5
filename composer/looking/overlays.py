"""Figures of maps over photographs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from composer.looking.canvas import SEQUENTIAL, label, panels, picture, rows_of, scale
from composer.looking.photograph import Photo, overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6


# A map is called even if its deviation is below the first share of its largest value, and its range below the second.
EVEN, EVEN_RANGE = 0.1, 0.5
Range = tuple[float, float]


def shared_range(maps: Iterable[Tensor]) -> Range:
    """The range of colours for maps that are compared: from 0 (or the smallest value, if negative) to the largest
    value.

    A map that hardly differs between its positions is then hardly coloured.

    >>> import torch
    >>> shared_range([torch.tensor([1.46, 1.54]), torch.tensor([0.5, 1.0])])
    (0.0, 1.54)
    """
    every = [(float(one.min()), float(one.max())) for one in maps]
    least, most = min(low for low, _ in every), max(high for _, high in every)
    return round(min(least, 0.0), 12), round(max(most, 0.0), 7)


def is_even(values: Tensor) -> bool:
    """Whether a map differs between its positions by only a small share of its largest value."""
    most = float(values.abs().max())
    differs = float(values.std(correction=0))
    return differs < EVEN * most and float(values.max() - values.min()) < EVEN_RANGE * most


@dataclass(frozen=True)
class Shown:
    """A map to be drawn. One that an untrained network explains is drawn flat, at its mean.

    marked  the least and the largest value that an untrained network has at the same site; None if not known
    """

    title: str
    values: Tensor
    by_chance: bool = False
    marked: Range | None = None


def laid(
    place: Axes,
    photo: Photo,
    values: Tensor,
    title: str,
    colours: Range,
    *,
    even: bool | None = None,
    by_chance: bool = False,
    marked: Range | None = None,
) -> None:
    """Draw a map over a photograph in axes, with its range of colours below. The title says if it is even.

    even       whether it is even; by default the map decides
    by_chance  whether it is not above chance: then it is drawn flat, and the title says so
    marked     the values that an untrained network has, framed in the range of colours
    """
    if by_chance:
        values = values.mean().expand_as(values)
        shown = photo.within(2 * round(max(place.bbox.width, place.bbox.height)))
        picture(place, overlay(shown, values, *colours, SEQUENTIAL), label(title, 26))
        place.text(0.5, 0.04, "not above chance", transform=place.transAxes, fontsize=5, color="white", ha="center")
        scale(place, *colours, marked=marked)
        return
    # Twice the size of the axes, in case the figure is saved larger.
    shown = photo.within(2 * round(max(place.bbox.width, place.bbox.height)))
    title = f"{label(title, 18)}: even" if (is_even(values) if even is None else even) else label(title, 26)
    picture(place, overlay(shown, values, *colours, SEQUENTIAL), title)
    scale(place, *colours, marked=marked)


def against_chance(photo: Photo, maps: Sequence[Shown], colours: Range) -> Figure:
    """A figure of a photograph, then of maps over it in one range of colours, on which those of chance are framed."""
    columns = min(COLUMNS, len(maps) + 1)
    made, grid = panels(rows_of([photo, *maps], columns), columns, aspect=photo.size[0] / photo.size[1])
    places = iter([place for line in grid for place in line])
    picture(next(places), photo.pixels, label(photo.name, 26))
    for one in maps:
        laid(next(places), photo, one.values, one.title, colours, by_chance=one.by_chance, marked=one.marked)
    for place in places:
        place.remove()
    return made


def over_photo(photo: Photo, maps: Sequence[tuple[str, Tensor]], *, apart: bool = False) -> Figure:
    """A figure of a photograph, then of titled maps over it, in the same range of colours.

    apart  give each map its own range, from 0, because their numbers measure different things
    """
    columns = min(COLUMNS, len(maps) + 1)
    made, grid = panels(rows_of([photo, *maps], columns), columns, aspect=photo.size[0] / photo.size[1])
    places = iter([place for line in grid for place in line])
    picture(next(places), photo.pixels, label(photo.name, 26))
    common = shared_range(values for _, values in maps)
    for title, values in maps:
        laid(next(places), photo, values, title, shared_range([values]) if apart else common)
    for place in places:
        place.remove()
    return made
