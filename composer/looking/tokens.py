"""Token attention: where a patch looks in each head, where the class token looks, and rollout through all blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from composer.amounts import plural
from composer.looking.chosen import Chosen, looks_of
from composer.looking.forms import TokenMaps, WindowMaps
from composer.looking.gather import Gathered
from composer.looking.heads import frame, head_plates
from composer.looking.overlays import over_photo
from composer.looking.photograph import Photo
from composer.looking.plates import Finding, Plate, Section, Table
from composer.looking.queries import Looks, evenness, reach
from composer.looking.rollout import class_token_map, rollout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Attention above this share of the largest entropy counts as even.
EVEN = 0.99


def tokens_section(gathered: Gathered, mechanism: str, chosen: Chosen | None) -> Section | None:
    """The token attention of a mechanism; None if there is none."""
    found = [one for one in looks_of(gathered) if one.site.mechanism == mechanism]
    if not found:
        return None
    return Section(
        f"{mechanism}: who looks at whom",
        "Entropy is that of a token's attention by the largest there can be, mean over heads and tokens: 1 looks at "
        "everything alike, 0 at one token; in a window, alike at all that no mask hides. Reach is how far a position "
        "looks on average, in steps of its grid. Both are of the first image.",
        [*head_plates(gathered, mechanism, found, chosen), *_class_plates(gathered, mechanism, found)],
        _table(found),
        [
            Finding(
                one.site.path, f"it looks at everything{_where(one)} alike", f"entropy {evenness(one):.4f} of 1", True
            )
            for one in found
            if evenness(one) > EVEN
        ],
    )


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


def _class_plates(gathered: Gathered, mechanism: str, found: Sequence[Looks]) -> list[Plate]:
    having = [one for one in found if isinstance(one, TokenMaps) and one.prefix and one.keys == one.site.grid]
    return [
        Plate(
            f"{mechanism}-class-{number + 1}",
            f"Where the class token looks in {photo.name}",
            "The first token's attention to the patches, mean over heads, by site in the order they run; all in one "
            "range of colours.",
            f"Maps of {plural(len(having), 'site')} over the photograph {photo.name}.",
            partial(_class_tokens, having, photo, number),
            is_map=True,
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
    """Attention multiplied through all blocks with the same tokens; None for fewer than two such blocks."""
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
    """Rollout of sites in their order, as titled maps: of the class token, if there is one, and of the chosen patch."""
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
    frame(made.axes[0], photo, chosen.within(group[0].site.grid), group[0].site.grid or chosen.grid)
    return made
