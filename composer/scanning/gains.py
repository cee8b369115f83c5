"""What training at a place gains over the plain network, and which place is the best for its cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from composer.comparing.trials import Trial
from composer.scanning.places import Site

# Gains are given for so much of a cost.
UNITS: Mapping[str, tuple[float, str]] = {
    "parameters": (1e3, "1,000 parameters"),
    "macs": (1e6, "million MACs"),
    "memory": (2**20, "MiB"),
}


@dataclass(frozen=True)
class Gain:
    """The validation scores of a network less those of the plain one, of the same seeds.

    differences  of each seed that both finished, as shares of the images
    failed       why a training of one of the two failed, the first such; empty if none did
    """

    differences: Sequence[float]
    failed: str = ""

    @property
    def mean(self) -> float:
        """The mean difference; not a number without pairs."""
        return mean(self.differences) if self.differences else math.nan

    @property
    def error(self) -> float | None:
        """The standard error of the mean over seeds; None from fewer than two pairs."""
        number = len(self.differences)
        return stdev(self.differences) / math.sqrt(number) if number > 1 else None


@dataclass(frozen=True)
class Gained:
    """A place that was trained.

    site   the place
    gain   what it gains
    added  what it costs; None where not known
    """

    site: Site
    gain: Gain
    added: int | None

    def per(self, cost: str) -> float | None:
        """The gain in points for a unit of the cost; None without a gain, and where the place costs nothing known."""
        if self.added is None or self.added <= 0 or not self.gain.differences:
            return None
        return 100 * self.gain.mean / (self.added / UNITS[cost][0])

    def rank(self, cost: str) -> tuple[bool, bool, float, float]:
        """What places are ordered by, the worst first.

        A place without a gain is worse than any with one, and is ordered by its gain alone: a loss is no better for
        being dear. A gain that costs nothing is better than any that costs.
        """
        gain = self.gain.mean if self.gain.differences else -math.inf
        share = self.per(cost)
        gains = gain > 0
        return gains, gains and share is None, (share or 0.0) * gains, gain


def ranked(found: Sequence[Gained], cost: str) -> list[Gained]:
    """Places by gain for their cost, the best first; equal ones in running order."""
    return sorted(found, key=lambda one: one.rank(cost), reverse=True)


def gain_of(own: Sequence[Trial], plain: Sequence[Trial]) -> Gain:
    """The gain of a network's trials over the plain network's, of the same seeds in the same order."""
    both = list(zip(own, plain, strict=True))
    failed = next((one.error for pair in both for one in pair if one.status == "failed"), "")
    return Gain([one.score - other.score for one, other in both if one.status == other.status == "done"], failed)


def spread(sites: Sequence[Site], number: int | None) -> list[Site]:
    """So many of the places, evenly spread from the first to the last; all for None, or for fewer places."""
    if number is None or number >= len(sites):
        return list(sites)
    if number == 1:
        return [sites[len(sites) // 2]]
    return [sites[round(index * (len(sites) - 1) / (number - 1))] for index in range(number)]
