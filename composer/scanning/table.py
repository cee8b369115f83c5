"""The places of a scan as the cells of a table."""

from __future__ import annotations

from composer.comparing.costs import COSTS
from composer.scanning.places import amount
from composer.scanning.scan import Scan

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
