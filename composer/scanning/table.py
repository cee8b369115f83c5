"""The places of a scan as the cells of a table."""

from __future__ import annotations

from composer.comparing.costs import COSTS
from composer.scanning.gains import UNITS
from composer.scanning.places import amount
from composer.scanning.scan import Scan
from composer.scanning.trained import TrainedScan, points

HEADS = ("#", "place", "parameters", "MACs", "memory", "together", "note")
RIGHT = ("#", "parameters", "MACs", "memory", "together")


def cells(scan: Scan) -> list[list[str]]:
    """A row of text for each place, in the columns of HEADS; costs are what the mechanism adds there."""
    found = []
    for number, site in enumerate(scan.rows, 1):
        costs = [amount(scan.ground, site.row, cost) for cost in COSTS]
        taken = scan.number(site)
        found.append([str(number), site.path, *costs, str(taken or ""), site.reason])
    return found


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
        per = one.per(found.cost) if one.gain.differences else None
        costs = [amount(found.ground, one.site.row, cost) for cost in COSTS]
        rows.append([one.site.path, points(one.gain), "" if per is None else f"{per:+.3g}", *costs, one.gain.failed])
    for site in found.left:
        rows.append([site.path, "", "", *(amount(found.ground, site.row, cost) for cost in COSTS), found.why(site)])
    return [[str(number), *row] for number, row in enumerate(rows, 1)]


def step_cells(found: TrainedScan) -> list[list[str]]:
    """A row of text for each network with places together, in the columns of STEP_HEADS."""
    return [
        [
            ", ".join(site.path for site in one.sites),
            points(one.gain) or one.gain.failed,
            *(amount(found.ground, one.row, cost) for cost in COSTS),
            "yes" if one.kept else "no",
        ]
        for one in found.steps
    ]
