"""Token attention: where a patch looks in each head, where the class token looks, and rollout through all blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from composer.errors import Diagnostic, InputError
from composer.looking.canvas import COLOURS, SEQUENTIAL, label, panels, picture, rows_of, scale
from composer.looking.forms import TokenMaps, WindowMaps
from composer.looking.gather import Gathered
from composer.looking.nodes import Grid
from composer.looking.overlays import laid, over_photo
from composer.looking.photograph import Photo
from composer.looking.plates import Finding, Plate, Section, Table
from composer.looking.queries import Looks, Patch, check_patch, evenness, finest, in_grid, looks_from, reach
from composer.looking.rollout import class_token_map, rollout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADS = 12
COLUMNS = 6
SITES_A_PLATE = 6
# Attention at more than this share of the largest entropy is called even.
EVEN = 0.99


@dataclass(frozen=True)
class Chosen:
    """The patch that is asked about: row and column in the finest grid that token attention of the network has."""

    patch: Patch
    grid: Grid

    def within(self, other: Grid | None) -> Patch:
        """The patch of another grid that lies there."""
        return in_grid(self.patch, self.grid, other or self.grid)

    def __str__(self) -> str:
        return f"patch {self.patch[0]},{self.patch[1]} of {self.grid[0]}×{self.grid[1]}"


def choose(gathered: Gathered, patch: Patch | None) -> Chosen | None:
    """The patch that was asked for, or the one at the centre; None without a grid. Raises InputError."""
    grid = finest(_all(gathered))
    if grid is not None:
        return Chosen(check_patch(patch, grid), grid)
    if patch is not None:
        text = f"`{gathered.model.spec.name}` has no attention between positions, so no patch looks anywhere"
        raise InputError(Diagnostic("patch", text, help=("leave out the patch",)))
    return None


def _all(gathered: Gathered) -> list[Looks]:
    return [*gathered.of(TokenMaps), *gathered.of(WindowMaps)]


def tokens_section(gathered: Gathered, mechanism: str, chosen: Chosen | None) -> Section | None:
    """The token attention of one mechanism."""
    found = [one for one in _all(gathered) if one.site.mechanism == mechanism]
    if not found:
        return None
    return Section(
        f"{mechanism}: who looks at whom",
        "Entropy is that of a token's attention by the largest there can be, mean over heads and tokens: 1 looks at "
        "everything alike, 0 at one token. Reach is how far a position looks on average, in steps of its grid. Both "
        "are of the first image.",
        [*_head_plates(gathered, mechanism, found, chosen), *_class_plates(gathered, mechanism, found)],
        _table(found),
        [
            Finding(one.site.path, "it looks at everything alike", f"entropy {evenness(one):.4f} of 1", True)
            for one in found
            if evenness(one) > EVEN
        ],
    )


def _table(found: Sequence[Looks]) -> Table:
    heads = ("site", "heads", "tokens", "grid", "entropy", "reach")
    rows = []
    for one in found:
        tokens = one.values.shape[2] * (one.values.shape[3] if isinstance(one, WindowMaps) else 1)
        grid = "–" if one.site.grid is None else f"{one.site.grid[0]}×{one.site.grid[1]}"
        distance = reach(one)
        numbers = (f"{evenness(one):.3f}", "–" if distance is None else f"{distance:.2f}")
        rows.append((one.site.path, str(one.values.shape[1]), str(tokens), grid, *numbers))
    return Table(heads, tuple(rows), heads[1:])


def _head_plates(gathered: Gathered, mechanism: str, found: Sequence[Looks], chosen: Chosen | None) -> list[Plate]:
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
                    f"A row for each site: {chosen}, framed, then where it looks: the mean of all heads and each of "
                    f"the first {HEADS}. Each map has its own range of colours.",
                    f"Maps of where {chosen} looks, for {len(part)} sites.",
                    partial(_heads, part, photo, number, chosen),
                )
            )
    if rest:
        plates.append(
            Plate(
                f"{mechanism}-matrices",
                "Attention between tokens that are no positions",
                "A row of each matrix is who a token looks at, mean over heads, for the first image.",
                f"Matrices of {len(rest)} sites.",
                partial(_matrices, rest),
            )
        )
    return plates


def _heads(found: Sequence[Looks], photo: Photo, number: int, chosen: Chosen) -> Figure:
    rows = [_titled(one, number, chosen) for one in found]
    columns = 1 + max(map(len, rows))
    made, grid = panels(len(found), columns, aspect=photo.size[0] / photo.size[1], gap=(0.05, 0.3), widest=1.2)
    for one, maps, line in zip(found, rows, grid, strict=True):
        picture(line[0], photo.pixels, label(one.site.path, 16))
        _frame(line[0], photo, chosen.within(one.site.grid), one.site.grid or chosen.grid)
        for (title, values), place in zip(maps, line[1:], strict=False):
            laid(place, photo, values, title)
        for place in line[1 + len(maps) :]:
            place.remove()
    return made


def _titled(one: Looks, number: int, chosen: Chosen) -> list[tuple[str, Tensor]]:
    """Where the patch looks in each of the first heads, behind the mean of all where there are several."""
    maps = looks_from(one, number, chosen.within(one.site.grid))
    assert maps is not None
    heads = [(f"head {head}", values) for head, values in enumerate(maps[:HEADS], 1)]
    return [("mean", maps.mean(0)), *heads] if len(maps) > 1 else heads


def _frame(place: Axes, photo: Photo, patch: Patch, grid: Grid) -> None:
    from matplotlib.patches import Rectangle

    high, wide = photo.size[0] / grid[0], photo.size[1] / grid[1]
    corner = (patch[1] * wide - 0.5, patch[0] * high - 0.5)
    place.add_patch(Rectangle(corner, wide, high, fill=False, edgecolor=COLOURS[5], linewidth=1))


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


def _class_plates(gathered: Gathered, mechanism: str, found: Sequence[Looks]) -> list[Plate]:
    having = [one for one in found if isinstance(one, TokenMaps) and one.prefix and one.keys == one.site.grid]
    return [
        Plate(
            f"{mechanism}-class-{number + 1}",
            f"Where the class token looks in {photo.name}",
            "The first token's attention to the patches, mean over heads, by site in the order they run.",
            f"Maps of {len(having)} sites over the photograph {photo.name}.",
            partial(_class_tokens, having, photo, number),
        )
        for number, photo in enumerate(gathered.photos)
        if having
    ]


def class_map(one: TokenMaps, image: int) -> Tensor:
    """Where the class token looks, mean over heads, rows columns."""
    assert one.site.grid is not None
    return class_token_map(one.values[image], one.site.grid, prefix=one.prefix).mean(0)


def _class_tokens(found: Sequence[TokenMaps], photo: Photo, number: int) -> Figure:
    maps = [(one.site.path, class_map(one, number)) for one in found]
    return over_photo(photo, maps)


def rollout_section(gathered: Gathered, chosen: Chosen | None) -> Section | None:
    """Attention multiplied through all blocks that share their tokens; None where there are not two of them."""
    groups: dict[object, list[TokenMaps]] = {}
    for one in gathered.of(TokenMaps):
        if one.keys is not None and one.keys == one.site.grid:
            groups.setdefault((one.site.grid, one.prefix), []).append(one)
    groups = {key: group for key, group in groups.items() if len(group) > 1}
    if not groups or chosen is None:
        return None
    return Section(
        "Rollout",
        "Attention of several blocks multiplied, half of each being the residual connection, which hands a token on as "
        "it is (Abnar and Zuidema 2020): how much of each patch arrives at the class token, or at the chosen patch, "
        "if attention were all that mixes them: what convolutions and other layers between do is left out. "
        + "; ".join(_members(group) for group in groups.values())
        + ".",
        [
            Plate(
                f"rollout-{number + 1}" + (f"-{count + 1}" if len(groups) > 1 else ""),
                f"What arrives, of {photo.name}",
                f"From the first block of {_members(group)} to the last; the patch is {chosen}.",
                f"Maps over the photograph {photo.name}.",
                partial(_rollout, group, photo, number, chosen),
            )
            for number, photo in enumerate(gathered.photos)
            for count, group in enumerate(groups.values())
        ],
    )


def _members(group: Sequence[TokenMaps]) -> str:
    return f"{len(group)} sites, {group[0].site.path} to {group[-1].site.path}"


def rolled(group: Sequence[TokenMaps], image: int, chosen: Chosen) -> list[tuple[str, Tensor]]:
    """Rollout of sites in their order, as titled maps: of the class token if there is one, and of the chosen patch."""
    first = group[0]
    grid = first.site.grid
    assert grid is not None
    mixed = rollout([one.values[image] for one in group])
    row, column = chosen.within(grid)
    at = {"rollout, class token": 0} if first.prefix else {}
    at["rollout, patch"] = first.prefix + row * grid[1] + column
    return [(title, mixed[token, first.prefix :].unflatten(0, grid)) for title, token in at.items()]


def _rollout(group: Sequence[TokenMaps], photo: Photo, number: int, chosen: Chosen) -> Figure:
    last = [("last block, class token", class_map(group[-1], number))] if group[0].prefix else []
    made = over_photo(photo, [*last, *rolled(group, number, chosen)])
    _frame(made.axes[0], photo, chosen.within(group[0].site.grid), group[0].site.grid or chosen.grid)
    return made
