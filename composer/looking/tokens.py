"""Token attention: where a patch looks in each head, where the class token looks, and rollout through all blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from composer.amounts import plural
from composer.looking.chance import Chance
from composer.looking.chosen import Chosen, looks_of
from composer.looking.forms import TokenMaps, WindowMaps
from composer.looking.gather import Gathered
from composer.looking.heads import Row, frame, head_plates, rows_from
from composer.looking.nodes import Grid
from composer.looking.overlays import Shown, of_chance, over_photo, range_of, span
from composer.looking.photograph import Photo
from composer.looking.plates import Finding, Plate, Range, Section, Table
from composer.looking.queries import Looks, evenness, reach
from composer.looking.rollout import class_token_map, rollout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Attention above this share of the largest entropy counts as even.
EVEN = 0.99


def tokens_section(
    gathered: Gathered, mechanism: str, chosen: Chosen | None, chance: Chance | None = None
) -> Section | None:
    """The token attention of a mechanism; None if there is none.

    chance  the attention of the untrained network
    """
    chance = chance or Chance()
    found = [one for one in looks_of(gathered) if one.site.mechanism == mechanism]
    if not found:
        return None
    return Section(
        f"{mechanism}: who looks at whom",
        "Entropy is that of a token's attention by the largest there can be, mean over heads and tokens: 1 looks at "
        "everything alike, 0 at one token; in a window, alike at all that no mask hides. Reach is how far a position "
        "looks on average, in steps of its grid. Both are of the first image.",
        [*head_plates(gathered, mechanism, found, chosen, chance), *_class_plates(gathered, mechanism, found, chance)],
        _table(found),
        [
            Finding(
                one.site.path, f"it looks at everything{_where(one)} alike", f"entropy {evenness(one):.4f} of 1", True
            )
            for one in found
            if evenness(one) > EVEN
        ]
        + [
            Finding(row.looks.site.path, "where its patch looks is not above chance", _reached(row), True)
            for row in rows_from(found, 0, chosen, chance)
            if all(one.by_chance for one in row.maps)
        ],
    )


def _reached(row: Row) -> str:
    mine, untrained = (
        max(span(values) for values in maps if values is not None)
        for maps in zip(*((one.telling, one.telling_untrained) for one in row.maps), strict=True)
    )
    return f"a head reaches over {mine:.3g} of the even share, untrained over {untrained:.3g}"


def _where(one: Looks) -> str:
    return " in its window" if isinstance(one, WindowMaps) else ""


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


def _class_plates(gathered: Gathered, mechanism: str, found: Sequence[Looks], chance: Chance) -> list[Plate]:
    having = [one for one in found if isinstance(one, TokenMaps) and one.prefix and one.keys == one.site.grid]
    if not having:
        return []
    twins = [chance.twin(one) for one in having]
    shown = [
        [
            Shown(one.site.path, class_map(one, number), None if twin is None else class_map(twin, number))
            for one, twin in zip(having, twins, strict=True)
        ]
        for number, _ in enumerate(gathered.photos)
    ]
    colours = range_of(one for maps in shown for one in maps)
    return [
        Plate(
            f"{mechanism}-class-{number}",
            f"Where the class token looks in {photo.name}",
            "The first token's attention to the patches, mean over heads, by site in the order they run; all in one "
            "range of colours." + of_chance(maps),
            f"Maps of {plural(len(having), 'site')} over the photograph {photo.name}.",
            partial(over_photo, photo, maps),
            is_map=True,
            colours=colours,
        )
        for number, (photo, maps) in enumerate(zip(gathered.photos, shown, strict=True), 1)
    ]


def class_map(one: TokenMaps, image: int) -> Tensor:
    """Where the class token looks, mean over heads, rows columns."""
    assert one.site.grid is not None
    return class_token_map(one.values[image], one.site.grid, prefix=one.prefix).mean(0)


def rollout_section(gathered: Gathered, chosen: Chosen | None, chance: Chance | None = None) -> Section | None:
    """Attention multiplied through all blocks with the same tokens; None for fewer than two such blocks.

    chance  the attention of the untrained network
    """
    chance = chance or Chance()
    groups: dict[object, list[TokenMaps]] = {}
    for one in gathered.of(TokenMaps):
        if one.keys is not None and one.keys == one.site.grid:
            groups.setdefault((one.site.grid, one.prefix), []).append(one)
    groups = {key: group for key, group in groups.items() if len(group) > 1}
    if not groups or chosen is None:
        return None
    numbers, members = range(len(gathered.photos)), list(groups.values())
    photos = [[_arrived(group, number, chosen, chance) for group in members] for number in numbers]
    return Section(
        "Rollout",
        "Attention of several blocks multiplied, half of each being the residual connection, which hands a token on as "
        "it is (Abnar and Zuidema 2020): how much of each patch arrives at the class token, or at the chosen patch, "
        "if attention were all that mixes them: what convolutions and other layers between do is left out. "
        + "; ".join(_members(group) for group in groups.values())
        + ".",
        [
            Plate(
                f"rollout-{number}" + (f"-{count}" if len(groups) > 1 else ""),
                f"What arrives, of {photo.name}",
                f"From the first block of {_members(group)} to the last; the patch is {chosen}." + of_chance(maps),
                f"Maps over the photograph {photo.name}.",
                partial(_rollout, photo, maps, chosen, group[0].site.grid),
                colours=range_of(one for of_photo in photos for one in of_photo[count - 1]),
            )
            for number, (photo, of_photo) in enumerate(zip(gathered.photos, photos, strict=True), 1)
            for count, (group, maps) in enumerate(zip(members, of_photo, strict=True), 1)
        ],
    )


def _members(group: Sequence[TokenMaps]) -> str:
    return f"{len(group)} sites, {group[0].site.path} to {group[-1].site.path}"


def rolled(group: Sequence[TokenMaps], image: int, chosen: Chosen) -> list[tuple[str, Tensor]]:
    """Rollout of sites in their order, as titled maps: of the class token, if there is one, and of the chosen patch."""
    first = group[0]
    grid = first.site.grid
    assert grid is not None
    mixed = rollout([one.values[image] for one in group])
    row, column = chosen.within(grid)
    at = {"rollout, class token": 0} if first.prefix else {}
    at["rollout, patch"] = first.prefix + row * grid[1] + column
    return [(title, mixed[token, first.prefix :].unflatten(0, grid)) for title, token in at.items()]


def _arrived(group: Sequence[TokenMaps], number: int, chosen: Chosen, chance: Chance) -> list[Shown]:
    """The maps of a group of sites over an image, beside those of the untrained network if all of them are known."""
    twins = [twin for one in group if (twin := chance.twin(one)) is not None]
    found = _last_and_rolled(group, number, chosen)
    if len(twins) < len(group):
        return [Shown(title, values) for title, values in found]
    before = _last_and_rolled(twins, number, chosen)
    return [Shown(title, values, one) for (title, values), (_, one) in zip(found, before, strict=True)]


def _last_and_rolled(group: Sequence[TokenMaps], number: int, chosen: Chosen) -> list[tuple[str, Tensor]]:
    last = [("last block, class token", class_map(group[-1], number))] if group[0].prefix else []
    return [*last, *rolled(group, number, chosen)]


def _rollout(
    photo: Photo, maps: Sequence[Shown], chosen: Chosen, grid: Grid | None, *, colours: Range | None
) -> Figure:
    made = over_photo(photo, maps, colours)
    frame(made.axes[0], photo, chosen.within(grid), grid or chosen.grid)
    return made
