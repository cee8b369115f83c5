"""The places of a scan as the cells of a table."""

from __future__ import annotations

from collections.abc import Sequence

from composer.amounts import size, three_figures
from composer.comparing.costs import COSTS, Row
from composer.scanning.gains import UNITS
from composer.scanning.places import Ground
from composer.scanning.scan import Scan
from composer.scanning.trained import TrainedScan, points

# So many places with the same note are named.
SHOWN = 6
HEADS = ("#", "place", "parameters", "MACs", "memory", "taken", "note")
RIGHT = ("#", "parameters", "MACs", "memory", "taken")


def cells(scan: Scan) -> list[list[str]]:
    """A row of text for each place, in the columns of HEADS; costs are what the mechanism adds there."""
    found = []
    for number, site in enumerate(scan.rows, 1):
        costs = [short(scan.ground, site.row, cost) for cost in COSTS]
        taken = scan.number(site)
        found.append([str(number), site.path, *costs, str(taken or ""), site.reason])
    return found


def notes(rows: Sequence[Sequence[str]]) -> list[str]:
    """The last cells of rows whose second is a place, as sentences, each once; for a table without its last column.

    >>> notes([["1", "layer1.0", ""], ["2", "layer1.1", "too dear"], ["3", "layer2.0", "too dear"]])
    ['layer1.1, layer2.0: too dear']
    """
    places: dict[str, list[str]] = {}
    for row in rows:
        places.setdefault(row[-1], []).append(row[1])
    return [
        f"{', '.join(some[:SHOWN])}{', …' if len(some) > SHOWN else ''}: {note}"
        for note, some in places.items()
        if note
    ]


def short(ground: Ground, row: Row, cost: str) -> str:
    """What a network costs more than the plain one, in three figures; empty where it does not compose."""
    if row.graph is None:
        return ""
    more = ground.added(row, cost)
    if more is None:
        return "?"
    number = size(abs(more)) if cost == "memory" else three_figures(abs(more))
    return f"{'-' if more < 0 else '+'}{number}"


STEP_HEADS = ("places", "gain", "parameters", "MACs", "memory", "kept")
STEP_RIGHT = ("gain", "parameters", "MACs", "memory")


def gained_heads(found: TrainedScan) -> list[str]:
    """The columns of a scan that trained."""
    return ["#", "place", "gain", f"per {UNITS[found.cost][1]}", "parameters", "MACs", "memory", "note"]


def gained_right(found: TrainedScan) -> list[str]:
    """Those that are aligned to the right."""
    return [one for one in gained_heads(found) if one not in ("place", "note")]


def gained_cells(found: TrainedScan) -> list[list[str]]:
    """A row of text for each place, by gain for its cost; then the places that were not trained, with the reason."""
    rows = []
    for one in found.single:
        per = one.per(found.cost)
        costs = [short(found.ground, one.site.row, cost) for cost in COSTS]
        rows.append([one.site.path, points(one.gain), "" if per is None else f"{per:+.3g}", *costs, one.gain.failed])
    for site in found.left:
        rows.append([site.path, "", "", *(short(found.ground, site.row, cost) for cost in COSTS), found.why(site)])
    return [[str(number), *row] for number, row in enumerate(rows, 1)]


def step_cells(found: TrainedScan) -> list[list[str]]:
    """A row of text for each network with places together, in the columns of STEP_HEADS."""
    return [
        [
            ", ".join(site.path for site in one.sites),
            points(one.gain) or one.gain.failed,
            *(short(found.ground, one.row, cost) for cost in COSTS),
            "yes" if one.kept else "no",
        ]
        for one in found.steps
    ]
