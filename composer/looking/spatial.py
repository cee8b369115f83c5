"""Spatial maps over the photograph from which they were computed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, tensor

from composer.amounts import plural
from composer.looking.canvas import label, panels, picture
from composer.looking.chance import SEED, Chance, reach
from composer.looking.forms import ElementMaps, SpatialMaps
from composer.looking.gather import Gathered
from composer.looking.overlays import EVEN, Shown, against_chance, laid, shared_range
from composer.looking.photograph import Photo
from composer.looking.plates import Finding, Plate, Section, Table
from composer.looking.variation import STILL, variation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The number of channels shown of an element map: those that vary most over the photograph.
CHANNELS = 4
SITES_A_PLATE = 6


def spatial_section(gathered: Gathered, mechanism: str, chance: Chance | None = None) -> Section | None:
    """The spatial maps of a mechanism; None if there are none.

    chance  the maps of the untrained network
    """
    chance = chance or Chance()
    found = [one for one in gathered.of(SpatialMaps) if one.site.mechanism == mechanism]
    if not found:
        return None
    part = found[0].part
    plates = [
        Plate(
            f"{mechanism}-maps-{number + 1}",
            f"Maps over {photo.name}",
            "Maps of all sites, in the order they run, bilinearly enlarged to the photograph. All have one range of "
            f"colours, from 0, below each; one that deviates by less than {EVEN:.0%} of its size is called even."
            + _of_chance(chance),
            f"{plural(len(found), 'map')} over the photograph {photo.name}; the table says where each is highest.",
            partial(_maps, found, photo, number, chance),
            is_map=True,
        )
        for number, photo in enumerate(gathered.photos)
    ]
    return Section(
        f"{mechanism}: spatial maps" + (f" ({part} half)" if part else ""),
        "The number by which every channel of a position is multiplied"
        + ("" if len(gathered.names) == 1 else "; the table is of the first image")
        + f". A map whose deviation over positions is below {STILL:.0%} of its size is called flat.",
        plates,
        _table(found, gathered.photos[0]),
        [
            Finding(one.site.path, "its map is flat", f"it differs by {_flatness(one.values[0]):.2%}", True)
            for one in found
            if _flatness(one.values[0]) < STILL and one.values[0].numel() > 1
        ]
        + not_above_chance(found, chance),
    )


def not_above_chance(found: Sequence[SpatialMaps | ElementMaps], chance: Chance) -> list[Finding]:
    """The maps over the first image that reach no further than those of the untrained network."""
    return [
        Finding(
            one.site.path,
            "its map is not above chance",
            f"it reaches over {reach(one.values[0]):.3g}, untrained over {chance.reaches(one, 0):.3g}",
            True,
        )
        for one in found
        if chance.explains(one, 0)
    ]


def _of_chance(chance: Chance) -> str:
    if not chance.maps:
        return ""
    return (
        f" Framed in its range: the values at the same site of the network at seed {SEED} on the same images; a map "
        "that reaches no further than there is drawn flat, and called not above chance."
    )


def _flatness(values: Tensor) -> float:
    """How much a map differs between its positions, as a share of its size."""
    return variation(values.flatten()[:, None])


def peak(values: Tensor, photo: Photo) -> tuple[int, int]:
    """Row and column, in the photograph, of the middle of the largest number of a map h w."""
    row, column = divmod(int(values.argmax()), values.shape[1])
    height, width = photo.size
    return int((row + 0.5) * height / values.shape[0]), int((column + 0.5) * width / values.shape[1])


def _table(found: Sequence[SpatialMaps], photo: Photo) -> Table:
    heads = ("site", "map", "mean", "from", "to", "differs by", "highest at")
    rows = []
    for one in found:
        values = one.values[0]
        height, width = photo.size
        row, column = peak(values, photo)
        numbers = (f"{number:.3f}" for number in (values.mean(), values.min(), values.max()))
        size = "×".join(map(str, values.shape))
        place = f"{row / height:.0%} down, {column / width:.0%} across"
        rows.append((one.site.path, size, *numbers, f"{_flatness(values):.1%}", place))
    return Table(heads, tuple(rows), heads[2:6])


def _maps(found: Sequence[SpatialMaps], photo: Photo, number: int, chance: Chance) -> Figure:
    shown = [
        Shown(one.site.path, one.values[number], chance.explains(one, number), chance.ends(one, number))
        for one in found
    ]
    reached = [tensor(one.marked) for one in shown if one.marked is not None]
    return against_chance(photo, shown, shared_range([*(one.values for one in shown), *reached]))


def elements_section(gathered: Gathered, mechanism: str, chance: Chance | None = None) -> Section | None:
    """Maps with a number per element: their means over channels, and the channels that vary most; or None.

    chance  the maps of the untrained network
    """
    chance = chance or Chance()
    halves = {one.site.path for one in gathered.of(SpatialMaps) if one.part}
    found = [one for one in gathered.of(ElementMaps) if one.site.mechanism == mechanism and one.site.path not in halves]
    if not found:
        return None
    parts = [found[start : start + SITES_A_PLATE] for start in range(0, len(found), SITES_A_PLATE)]
    plates = [
        Plate(
            f"{mechanism}-elements-{number + 1}" + (f"-{count + 1}" if len(parts) > 1 else ""),
            f"Maps over {photo.name}" + (f", part {count + 1} of {len(parts)}" if len(parts) > 1 else ""),
            f"A row for each site: the mean over channels, then the {CHANNELS} channels whose numbers vary most over "
            "positions. All have one range of colours, from 0." + _of_chance(chance),
            f"Maps of {plural(len(part), 'site')} over the photograph {photo.name}.",
            partial(_elements, part, photo, number, chance, found),
            is_map=True,
        )
        for number, photo in enumerate(gathered.photos)
        for count, part in enumerate(parts)
    ]
    return Section(
        f"{mechanism}: a number for each element",
        "Every position of every channel is multiplied by a number of its own"
        + ("." if len(gathered.names) == 1 else "; the table is of the first image."),
        plates,
        _elements_table(found),
        not_above_chance(found, chance),
    )


def most_varying(values: Tensor, count: int) -> list[int]:
    """The channels of c h w that vary most over positions, the most varying first."""
    order: list[int] = values.flatten(1).var(1, correction=0).argsort(descending=True, stable=True)[:count].tolist()
    return order


def _elements(
    found: Sequence[ElementMaps], photo: Photo, number: int, chance: Chance, every: Sequence[ElementMaps]
) -> Figure:
    """The maps of some sites, in the range of colours of all of them."""
    made, grid = panels(len(found), 2 + CHANNELS, aspect=photo.size[0] / photo.size[1])
    colours = shared_range([one.values[number][most_varying(one.values[number], CHANNELS)] for one in every])
    for one, line in zip(found, grid, strict=True):
        values = one.values[number]
        picture(line[0], photo.pixels, label(one.site.path, 26))
        channels = most_varying(values, CHANNELS)
        by_chance = chance.explains(one, number)
        laid(line[1], photo, values.mean(0), "mean over channels", colours, by_chance=by_chance)
        for channel, place in zip(channels, line[2:], strict=False):
            laid(place, photo, values[channel], f"channel {channel}", colours)
        for place in line[2 + len(channels) :]:
            place.remove()
    return made


def _elements_table(found: Sequence[ElementMaps]) -> Table:
    heads = ("site", "channels", "map", "mean", "from", "to", "varies over positions", "over channels")
    rows = []
    for one in found:
        values = one.values[0]
        numbers = (f"{number:.3f}" for number in (values.mean(), values.min(), values.max()))
        positions, channels = values.flatten(1).std(1, correction=0).mean(), values.mean((1, 2)).std(correction=0)
        size = "×".join(map(str, values.shape[1:]))
        size_of_all = values.abs().mean().clamp(min=1e-12)
        shares = (f"{positions / size_of_all:.1%}", f"{channels / size_of_all:.1%}")
        rows.append((one.site.path, str(len(values)), size, *numbers, *shares))
    return Table(heads, tuple(rows), heads[1:])
