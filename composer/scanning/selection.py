"""Short paired trainings that choose places: of each place alone, then of several together, without a test image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from composer.comparing.control import Pair
from composer.comparing.costs import Row
from composer.comparing.file import PLAIN
from composer.comparing.plan import Plan
from composer.comparing.runner import run_trials
from composer.comparing.trials import RunJobs, RunTrial, Tell, Trial, in_turn
from composer.comparing.write import SPECS, spec_names, spec_texts, write_texts
from composer.scanning.gains import Gain, Gained, gain_of, ranked
from composer.scanning.places import Ground, Site
from composer.scanning.question import Question


@dataclass(frozen=True)
class Step:
    """Places that were trained together.

    sites  in the order in which they were taken
    row    the network
    gain   what it gains over the plain one
    kept   whether it gains more than the places before it, so that the last place stays
    """

    sites: Sequence[Site]
    row: Row
    gain: Gain
    kept: bool


@dataclass(frozen=True)
class Selection:
    """The trainings that choose.

    question  the rule, in a network with the recipe of these trainings
    ground    its places
    seeds     of each network
    cost      what a gain is divided by
    folder    of the trainings, with those of an interrupted scan
    run       trains a network; on data without a test split
    every     runs the trainings: one after another in this process, or several at once
    retry     run failed trainings again
    tell      is told how far it is
    """

    question: Question
    ground: Ground
    seeds: Sequence[int]
    cost: str
    folder: Path
    run: RunTrial
    every: RunJobs = in_turn
    retry: bool = False
    tell: Tell = lambda text: None

    def singles(self, sites: Sequence[Site]) -> list[Gained]:
        """Each place by itself, the best for its cost first."""
        plan = self.plan([site.row for site in sites])
        trials = self._trained(plan)
        plain = self._of(trials, PLAIN)
        found = []
        for site in sites:
            gain = gain_of(self._of(trials, site.row.arm.variant), plain)
            found.append(Gained(site, gain, self.ground.added(site.row, self.cost)))
        return ranked(found, self.cost)

    def steps(self, found: Sequence[Gained], most: int) -> list[Step]:
        """Places together: the best, then with the next best, while the gain grows; at most so many.

        A place that gains nothing alone is not tried; one that does not fit beside the others, or is over the budget
        with them, is passed over.
        """
        gaining = [one for one in found if one.gain.mean > 0]
        if not gaining:
            return []
        steps = [Step([gaining[0].site], gaining[0].site.row, gaining[0].gain, kept=True)]
        for one in gaining[1:]:
            if len(steps[-1].sites) >= most:
                break
            sites = [*steps[-1].sites, one.site]
            row = self.ground.with_rule(self.question, [site.path for site in sites], self._name(sites))
            if not row.runs:
                continue
            gain = self._gain(row)
            kept = gain.mean > steps[-1].gain.mean
            steps.append(Step(sites, row, gain, kept))
            if not kept:
                break
        return steps

    def plan(self, rows: Sequence[Row]) -> Plan:
        """The plain network and others as a comparison, which makes their files and knows who is trained."""
        pairs = [Pair(self.question.base, row.arm.variant, PLAIN, PLAIN) for row in rows]
        file = self.question.comparison({"rule": self.question.rule}, self.seeds)
        return Plan(file, [self.ground.plain, *rows], pairs)

    def _gain(self, row: Row) -> Gain:
        plan = self.plan([row])
        trials = self._trained(plan)
        return gain_of(self._of(trials, row.arm.variant), self._of(trials, PLAIN))

    def _trained(self, plan: Plan) -> dict[tuple[str, str, int], Trial]:
        names, texts = spec_names(plan), spec_texts(plan)
        write_texts(self.folder, {f"{SPECS}/{name}": texts[name] for name in names.values()}, force=True)
        return run_trials(plan, self.folder, self.run, every=self.every, retry=self.retry, tell=self.tell)

    def _of(self, trials: dict[tuple[str, str, int], Trial], variant: str) -> list[Trial]:
        return [trials[self.question.base, variant, seed] for seed in self.seeds]

    def _name(self, sites: Sequence[Site]) -> str:
        """A name that no other places have."""
        numbers = sorted(self.ground.sites.index(site) + 1 for site in sites)
        return f"places {'+'.join(map(str, numbers))}"
