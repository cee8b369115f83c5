"""What the trials of a comparison show: every run, every declared comparison, and the words for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import Any

import numpy as np

from composer.amounts import plural
from composer.comparing.control import Pair
from composer.comparing.costs import Row
from composer.comparing.plan import Plan
from composer.comparing.trials import Trial
from composer.comparing.verdict import Verdict, verdicts

# So many reasons why trainings failed are told; runs.csv has all.
_ERRORS = 3


@dataclass(frozen=True)
class Results:
    """The results of a plan.

    plan    what was declared
    trials  (backbone, variant, seed) -> its trial
    """

    plan: Plan
    trials: Mapping[tuple[str, str, int], Trial]

    @cached_property
    def verdicts(self) -> Sequence[tuple[Pair, Verdict]]:
        """Each declared comparison and what its pairs of runs show; corrected for all of them together."""
        pairs = {str(number): one for number, one in enumerate(self.plan.declared)}
        arms, images = {}, {}
        for name, one in pairs.items():
            both = self.paired(one)
            arms[name] = ([own.score for own, _ in both], [other.score for _, other in both])
            if both:
                images[name] = (
                    np.array([own.scores for own, _ in both], dtype=np.float64),
                    np.array([other.scores for _, other in both], dtype=np.float64),
                )
        found = verdicts(arms, images)
        return [(one, found[name]) for name, one in pairs.items()]

    def paired(self, pair: Pair) -> list[tuple[Trial, Trial]]:
        """The trials of both networks of a comparison, of each seed that both finished."""
        assert pair.against is not None, "a declared comparison has two networks"
        both = [
            tuple(self.trials[pair.backbone, name, seed] for name in (pair.variant, pair.against))
            for seed in self.plan.file.content.seed_numbers
        ]
        return [(own, other) for own, other in both if own.status == other.status == "done"]

    def done(self, backbone: str, variant: str) -> list[Trial]:
        """The finished trials of a network, by seed."""
        found = [self.trials[backbone, variant, seed] for seed in self.plan.file.content.seed_numbers]
        return [one for one in found if one.status == "done"]

    @property
    def failed(self) -> list[tuple[tuple[str, str, int], Trial]]:
        """The trials that failed."""
        return [(key, one) for key, one in self.trials.items() if one.status == "failed"]

    @property
    def guessing(self) -> list[str]:
        """The classifiers whose mean score is within what guessing reaches on as many images in 97.5 cases of 100."""
        found = []
        for row in self.plan.running:
            done, classes = self.done(*row.arm.key), _classes(row)
            if not done or classes < 2 or any(one not in (0, 1) for trial in done for one in trial.scores):
                continue
            chance = 1 / classes
            most = chance + 1.96 * math.sqrt(chance * (1 - chance) / len(done[0].scores))
            if mean(one.score for one in done) <= most:
                found.append(self.plan.label(*row.arm.key))
        return found

    def sentences(self) -> list[str]:
        """What was run, and what came of it."""
        found = [f"{plural(len(self.trials), 'run')}, {len(self.failed)} failed"]
        errors = Counter(trial.error for _, trial in self.failed).most_common()
        found += [f"{number} failed: {error}" for error, number in errors[:_ERRORS]]
        found += [f"and {plural(len(errors) - _ERRORS, 'other reason')}"] if len(errors) > _ERRORS else []
        images = {len(one.scores) for one in self.trials.values() if one.status == "done"}
        found += [f"each network was tested once on {plural(number, 'image', ',')}" for number in images]
        if guessing := self.guessing:
            found.append(f"no better than guessing: {', '.join(guessing)}; train longer before you compare them")
        for word, sign in (("better", 1), ("worse", -1)):
            names = [
                self.name(pair) for pair, one in self.verdicts if one.shown and one.seeds and sign * one.seeds.mean > 0
            ]
            found += [f"shown to be {word}: {', '.join(names)}"] if names else []
        return found if any(one.shown for _, one in self.verdicts) else [*found, "no difference is shown"]

    def name(self, pair: Pair) -> str:
        """A comparison's name."""
        return f"{self.plan.label(pair.backbone, pair.variant)} against {pair.against}"

    def runs(self) -> list[dict[str, Any]]:
        """A row for every run, also for those that failed, as plain values."""
        return [self._run(key, trial) for key, trial in self.trials.items()]

    def curves(self) -> list[dict[str, Any]]:
        """A row for every epoch of every run: the value by which the best one was chosen."""
        return [
            {"backbone": backbone, "variant": variant, "seed": seed, "epoch": epoch, "validation": value}
            for (backbone, variant, seed), trial in self.trials.items()
            for epoch, value in enumerate(trial.validation, 1)
        ]

    def comparisons(self) -> list[dict[str, Any]]:
        """A row for every declared comparison, as plain values; differences are shares of the images."""
        return [self._comparison(pair, one) for pair, one in self.verdicts]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, without the scores of single images."""
        return {"comparisons": self.comparisons(), "runs": self.runs(), "notes": self.sentences()}

    def _run(self, key: tuple[str, str, int], trial: Trial) -> dict[str, Any]:
        best = trial.best_epoch
        value = trial.validation[best - 1] if best is not None and best <= len(trial.validation) else None
        return {
            "backbone": key[0],
            "variant": key[1],
            "seed": key[2],
            "status": trial.status,
            "score": trial.score if trial.status == "done" else None,
            "images": len(trial.scores),
            "best_epoch": best,
            "validation": value,
            "epochs": len(trial.validation),
            "seconds": trial.cost.get("seconds"),
            "attempts": trial.attempts,
            "error": trial.error,
        }

    def _comparison(self, pair: Pair, one: Verdict) -> dict[str, Any]:
        both = self.paired(pair)
        seeds, images, test = one.seeds, one.images, one.test
        return {
            "backbone": pair.backbone,
            "variant": pair.variant,
            "against": pair.against,
            "kind": pair.kind,
            "cost_miss": pair.miss,
            "pairs": one.pairs,
            "score": mean(own.score for own, _ in both) if both else None,
            "score_against": mean(other.score for _, other in both) if both else None,
            "difference": seeds and seeds.mean,
            "low": seeds and seeds.low,
            "high": seeds and seeds.high,
            "new_images_low": images and images.low,
            "new_images_high": images and images.high,
            "p": test and test.p,
            "p_corrected": one.corrected,
            "smallest": None if one.smallest == float("inf") else one.smallest,
            "verdict": one.word,
            "sentence": str(one),
        }


def _classes(row: Row) -> int:
    """The number of classes of a classifier; 0 for another network."""
    outputs = [] if row.graph is None else [*row.graph.outputs.values()]
    return int(outputs[0].without_batch[0]) if len(outputs) == 1 and outputs[0].layout == "b c" else 0
