"""Spatial maps over the photograph from which they were computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from composer.amounts import plural
from composer.looking.canvas import label, panels, picture
from composer.looking.chance import Chance
from composer.looking.forms import ElementMaps, SpatialMaps
from composer.looking.gather import Gathered
from composer.looking.overlays import EVEN, Shown, laid, not_above_chance, of_chance, over_photo, range_of
from composer.looking.photograph import Photo
from composer.looking.plates import Finding, Plate, Range, Section, Table
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
    found = [one for one in gathered.of(SpatialMaps) if one.site.mechanism == mechanism]
    if not found:
        return None
    part, chance = found[0].part, chance or Chance()
    shown = [[_shown(one, number, chance) for one in found] for number, _ in enumerate(gathered.photos)]
    colours = range_of(one for maps in shown for one in maps)
    plates = [
        Plate(
            f"{mechanism}-maps-{number}",
            f"Maps over {photo.name}",
            "Maps of all sites, in the order they run, bilinearly enlarged to the photograph. All have one range of "
            f"colours, from 0, below each; one that deviates by less than {EVEN:.0%} of its size is called even."
            + of_chance(maps),
            f"{plural(len(found), 'map')} over the photograph {photo.name}; the table says where each is highest.",
            partial(over_photo, photo, maps),
            is_map=True,
            colours=colours,
        )
        for number, (photo, maps) in enumerate(zip(gathered.photos, shown, strict=True), 1)
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
        + not_above_chance(shown[0]),
    )


def _shown(one: SpatialMaps | ElementMaps, number: int, chance: Chance) -> Shown:
    """The map of a site over an image, mean over channels if each has a map of its own, titled by the site."""
    untrained = chance.twin(one)
    return Shown(one.site.path, _flat(one, number), None if untrained is None else _flat(untrained, number))


def _flat(one: SpatialMaps | ElementMaps, number: int) -> Tensor:
    return one.values[number] if isinstance(one, SpatialMaps) else one.values[number].mean(0)


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


def elements_section(gathered: Gathered, mechanism: str, chance: Chance | None = None) -> Section | None:
    """Maps with a number per element: their means over channels, and the channels that vary most; or None.

    chance  the maps of the untrained network
    """
    halves = {one.site.path for one in gathered.of(SpatialMaps) if one.part}
    found = [one for one in gathered.of(ElementMaps) if one.site.mechanism == mechanism and one.site.path not in halves]
    if not found:
        return None
    chance = chance or Chance()
    rows = [[_row(one, number, chance) for one in found] for number, _ in enumerate(gathered.photos)]
    colours = range_of(one for of_photo in rows for row in of_photo for one in row)
    starts = range(0, len(found), SITES_A_PLATE)
    plates = [
        Plate(
            f"{mechanism}-elements-{number}" + (f"-{count}" if len(starts) > 1 else ""),
            f"Maps over {photo.name}" + (f", part {count} of {len(starts)}" if len(starts) > 1 else ""),
            f"A row for each site: the mean over channels, then the {CHANNELS} channels whose numbers vary most over "
            "positions. All have one range of colours, from 0." + of_chance(row[0] for row in of_photo),
            f"Maps of {plural(len(found[start : start + SITES_A_PLATE]), 'site')} over the photograph {photo.name}.",
            partial(_elements, photo, of_photo[start : start + SITES_A_PLATE]),
            is_map=True,
            colours=colours,
        )
        for number, (photo, of_photo) in enumerate(zip(gathered.photos, rows, strict=True), 1)
        for count, start in enumerate(starts, 1)
    ]
    return Section(
        f"{mechanism}: a number for each element",
        "Every position of every channel is multiplied by a number of its own"
        + ("." if len(gathered.names) == 1 else "; the table is of the first image."),
        plates,
        _elements_table(found),
        not_above_chance([row[0] for row in rows[0]]),
    )


def most_varying(values: Tensor, count: int) -> list[int]:
    """The channels of c h w that vary most over positions, the most varying first."""
    order: list[int] = values.flatten(1).var(1, correction=0).argsort(descending=True, stable=True)[:count].tolist()
    return order


def _row(one: ElementMaps, number: int, chance: Chance) -> list[Shown]:
    """The maps of a site over an image: the mean over channels, titled by the site, and channels that vary most."""
    values = one.values[number]
    channels = [Shown(f"channel {channel}", values[channel]) for channel in most_varying(values, CHANNELS)]
    return [_shown(one, number, chance), *channels]


def _elements(photo: Photo, rows: Sequence[Sequence[Shown]], *, colours: Range) -> Figure:
    made, grid = panels(len(rows), 2 + CHANNELS, aspect=photo.size[0] / photo.size[1])
    for (mean, *channels), line in zip(rows, grid, strict=True):
        picture(line[0], photo.pixels, label(mean.title, 26))
        for place, one in zip(line[1:], (replace(mean, title="mean over channels"), *channels), strict=False):
            laid(place, photo, one, colours)
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
