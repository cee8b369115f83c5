"""The answer of a scan: its places by rank, and those that go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from composer.amounts import plural
from composer.comparing.costs import COSTS, Row
from composer.scanning.places import NAMES, Ground, Site, amount
from composer.scanning.question import Question
from composer.spec.dump import flow


@dataclass(frozen=True)
class Scan:
    """A scan without training: what the mechanism costs at each place.

    question  what was asked
    ground    the places
    cost      the one by which places are ranked: `parameters`, `macs` or `memory`
    order     the places that fit within the budget, what adds least first
    chosen    those that go together within the budget, in the order in which they were taken
    whole     the network with the rule at those
    """

    question: Question
    ground: Ground
    cost: str
    order: Sequence[Site]
    chosen: Sequence[Site]
    whole: Row

    @cached_property
    def rows(self) -> list[Site]:
        """All places: by rank, then those that are left out, in running order."""
        return [*self.order, *(site for site in self.ground.sites if not site.runs)]

    @property
    def rule(self) -> dict[str, Any]:
        """The rule at the places that go together, as a spec writes it; places in running order."""
        found: dict[str, Any] = self.whole.arm.rules[0] if self.whole.arm.rules else {}
        return found

    def number(self, site: Site) -> int | None:
        """The how many-th the place was taken, from 1; None if it was not."""
        return self.chosen.index(site) + 1 if site in self.chosen else None

    def sentences(self) -> list[str]:
        """What was counted, and what goes together."""
        sites, left = self.ground.sites, len(self.ground.sites) - len(self.order)
        out = f", {left} left out" if left else ""
        costs = ", ".join(self.words(self.whole))
        budget = " within the budget" if self.question.budget is not None else ""
        return [
            f"{self.question.name}: {plural(len(sites), 'place')}{out}",
            f"together{budget}, what adds least first: {plural(len(self.chosen), 'place')}, {costs}",
            f"as a rule: {flow(self.rule)}",
            "nothing was trained: what adds least need not help most",
        ]

    def words(self, row: Row) -> list[str]:
        """What a network costs more than the plain one, as text: a phrase for each cost that is known."""
        return [f"{amount(self.ground, row, cost)} {NAMES[cost]}" for cost in COSTS if amount(self.ground, row, cost)]

    def to_json(self) -> dict[str, Any]:
        """The scan as plain JSON values: a row for each place, what goes together, and the sentences."""
        return {
            "network": self.question.source,
            "rule": self.question.rule.plain(),
            "cost": self.cost,
            "plain": {cost: getattr(self.ground.plain, cost) for cost in COSTS},
            "rows": [self.values(site) for site in self.rows],
            "together": {
                "places": [site.path for site in self.chosen],
                **added(self.ground, self.whole),
                "rule": self.rule,
            },
            "notes": self.sentences(),
        }

    def values(self, site: Site) -> dict[str, Any]:
        """A row as plain JSON values."""
        return {
            "place": site.path,
            "stage": site.place.stage,
            "block": site.place.block,
            "output": str(site.place.node.output),
            "fits": site.row.graph is not None,
            **added(self.ground, site.row),
            "together": self.number(site),
            "note": site.reason,
        }


def added(ground: Ground, row: Row) -> dict[str, Any]:
    """What a network costs more than the plain one: whole numbers, and in percent of the plain one's."""
    found: dict[str, Any] = {}
    for cost in COSTS:
        more, before = ground.added(row, cost), getattr(ground.plain, cost)
        found[cost] = more
        found[f"{cost}_percent"] = None if more is None or not before else 100 * more / before
    return found
