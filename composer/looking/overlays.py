"""Maps over photographs, in figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from composer.looking.canvas import SEQUENTIAL, label, panels, picture, rows_of, scale
from composer.looking.photograph import Photo, overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6


def laid(place: Axes, photo: Photo, values: Tensor, title: str) -> None:
    """A map over a photograph in axes, in its own range of colours, which stands below."""
    low, high = float(values.min()), float(values.max())
    # Twice what the axes have: enough for a figure that is saved larger.
    shown = photo.within(2 * round(max(place.bbox.width, place.bbox.height)))
    picture(place, overlay(shown, values, low, high, SEQUENTIAL), label(title, 26))
    scale(place, low, high)


def over_photo(photo: Photo, maps: Sequence[tuple[str, Tensor]]) -> Figure:
    """A photograph, then maps over it with their titles."""
    columns = min(COLUMNS, len(maps) + 1)
    made, grid = panels(rows_of([photo, *maps], columns), columns, aspect=photo.size[0] / photo.size[1])
    places = iter([place for line in grid for place in line])
    picture(next(places), photo.pixels, label(photo.name, 26))
    for title, values in maps:
        laid(next(places), photo, values, title)
    for place in places:
        place.remove()
    return made
