"""Figures of maps over photographs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from composer.looking.canvas import SEQUENTIAL, label, panels, picture, rows_of, scale
from composer.looking.chance import SEED
from composer.looking.photograph import Photo, overlay
from composer.looking.plates import Finding, Range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6
# A map is called even if its deviation is below the first share of its largest value, and its range below the second.
EVEN, EVEN_RANGE = 0.1, 0.5


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
    """A map to be drawn.

    values     h w
    untrained  the map that the untrained network has in its place; None if it is not known
    part       the rows and columns that say something, such as those of a window
    """

    title: str
    values: Tensor
    untrained: Tensor | None = None
    part: tuple[slice, slice] = (slice(None), slice(None))

    @property
    def telling(self) -> Tensor:
        """The values of its part."""
        return self.values[self.part]

    @property
    def telling_untrained(self) -> Tensor | None:
        """The values of the same part of the untrained map."""
        return None if self.untrained is None else self.untrained[self.part]

    @property
    def by_chance(self) -> bool:
        """Whether it reaches no further than the untrained one: then it is drawn flat, at its mean."""
        untrained = self.telling_untrained
        # A single position reaches over nothing, whatever was learnt.
        return untrained is not None and untrained.numel() > 1 and span(self.telling) <= span(untrained)

    @property
    def drawn(self) -> Tensor:
        """The values as they are drawn."""
        if not self.by_chance:
            return self.values
        flat = self.values.clone()
        flat[self.part] = self.telling.mean()
        return flat


def span(values: Tensor) -> float:
    """How far the values of a map h w reach, from the least to the largest."""
    return float(values.max() - values.min())


def of_chance(shown: Iterable[Shown]) -> str:
    """How figures show the maps of the untrained network, for their captions; nothing if they do not."""
    if all(one.untrained is None for one in shown):
        return ""
    return (
        f" Framed in its range: the values at the same site of the network at seed {SEED} on the same images; a map "
        "that reaches no further than there is drawn flat, and called not above chance."
    )


def not_above_chance(shown: Iterable[Shown]) -> list[Finding]:
    """Those of maps, titled by their sites, that reach no further than the untrained ones."""
    return [
        Finding(
            one.title,
            "its map is not above chance",
            f"it reaches over {span(one.telling):.3g}, untrained over {span(one.telling_untrained):.3g}",
            True,
        )
        for one in shown
        if one.by_chance and one.telling_untrained is not None
    ]


def range_of(shown: Iterable[Shown]) -> Range:
    """The range of colours for maps that are compared, and for the untrained ones beside them."""
    return shared_range(one for each in shown for one in (each.values, each.untrained) if one is not None)


def laid(place: Axes, photo: Photo, one: Shown, colours: Range) -> None:
    """Draw a map over a photograph in axes, with its range of colours below, in which the values of the untrained map
    are framed. The title says if it is even."""
    # Twice the size of the axes, in case the figure is saved larger.
    photograph = photo.within(2 * round(max(place.bbox.width, place.bbox.height)))
    even = is_even(one.telling) and not one.by_chance
    title = f"{label(one.title, 18)}: even" if even else label(one.title, 26)
    picture(place, overlay(photograph, one.drawn, *colours, SEQUENTIAL), title)
    if one.by_chance:
        place.text(0.5, 0.04, "not above chance", transform=place.transAxes, fontsize=5, color="white", ha="center")
    untrained = one.telling_untrained
    scale(place, *colours, marked=None if untrained is None else (float(untrained.min()), float(untrained.max())))


def over_photo(photo: Photo, maps: Sequence[Shown], colours: Range | None = None) -> Figure:
    """A figure of a photograph, then of titled maps over it.

    colours  the range of colours of all maps; without it, each has its own, because their numbers measure different
             things
    """
    columns = min(COLUMNS, len(maps) + 1)
    made, grid = panels(rows_of([photo, *maps], columns), columns, aspect=photo.size[0] / photo.size[1])
    places = iter([place for line in grid for place in line])
    picture(next(places), photo.pixels, label(photo.name, 26))
    for one in maps:
        laid(next(places), photo, one, colours or range_of([one]))
    for place in places:
        place.remove()
    return made
