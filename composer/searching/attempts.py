"""The trainings of a search: Optuna draws what each tries, from what others found, and ends those that are behind.

What is known of them lies in their folders, so that any process can draw the next, and a search can go on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composer.comparing.file import RangeSpec, SearchSpec
from composer.comparing.learning import RUN, run_of, threads_of, trial_of
from composer.comparing.several import unsaid
from composer.comparing.trials import Tell, Trial, read_trial
from composer.errors import Diagnostic, InputError
from composer.files import write_text
from composer.searching.extra import optuna
from composer.seeds import seed_of
from composer.training.data import Data
from composer.training.go_on import go_on
from composer.training.learner import steps_of
from composer.training.run import Run, is_run
from composer.training.trainer import Where

TRIED = "tried.json"
# The axis of a search over networks.
NETWORK = "network"


@dataclass(frozen=True)
class Space:
    """What a search tries.

    search    the ranges, and how trainings are ended early
    networks  name -> the file of its spec
    seed      of all trainings
    """

    search: SearchSpec
    networks: Mapping[str, Path]
    seed: int

    def distributions(self) -> dict[str, Any]:
        """Axis -> Optuna's distribution."""
        found = {path: _distribution(values) for path, values in self.search.ranges.items()}
        several = {NETWORK: optuna().distributions.CategoricalDistribution(tuple(self.networks))}
        return {**(several if len(self.networks) > 1 else {}), **found}

    def sets(self, values: Mapping[str, Any]) -> list[str]:
        """The settings of a recipe, with the seed."""
        own = [f"{path}={json.dumps(value)}" for path, value in values.items() if path != NETWORK]
        return [*own, f"train.seed={self.seed}"]

    def network(self, values: Mapping[str, Any]) -> str:
        """The name of the network that is tried."""
        return str(values.get(NETWORK, next(iter(self.networks))))


def _distribution(values: RangeSpec | list[Any]) -> Any:
    kinds = optuna().distributions
    if isinstance(values, list):
        return kinds.CategoricalDistribution(tuple(values))
    if isinstance(values.from_, int) and isinstance(values.to, int):
        return kinds.IntDistribution(values.from_, values.to, log=values.log)
    return kinds.FloatDistribution(values.from_, values.to, log=values.log)


@dataclass(frozen=True)
class Attempt:
    """A training of a search, as its folder knows it.

    number  from 0
    values  axis -> what it tries
    rows    of its history: the value of each epoch by which it is judged
    trial   what became of it; None while it runs
    """

    number: int
    values: Mapping[str, Any]
    rows: Sequence[float] = ()
    trial: Trial | None = None

    @property
    def is_done(self) -> bool:
        """Whether it ended, and not by an error."""
        return self.trial is not None and self.trial.status == "done" and bool(self.rows)

    @property
    def was_pruned(self) -> bool:
        """Whether it was ended before the others."""
        return self.trial is not None and bool(self.trial.cost.get("pruned"))

    @property
    def best(self) -> float:
        """The best value of an epoch."""
        return max((one for one in self.rows if one == one), default=-math.inf)


def attempt_folder(folder: Path, number: int) -> Path:
    """The folder of a training, by its number."""
    return folder / f"trial-{number:03d}"


def attempts(folder: Path, number: int) -> list[Attempt]:
    """The trainings of a search that were begun, of so many. Raises InputError for a damaged record."""
    return [found for index in range(number) if (found := _attempt(folder, index)) is not None]


def _attempt(folder: Path, number: int) -> Attempt | None:
    own = attempt_folder(folder, number)
    try:
        values = json.loads((own / TRIED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    trial = read_trial(own)
    if trial is not None:
        return Attempt(number, values, trial.validation, trial)
    rows = [row["metric"] for row in Run(own / RUN).history] if is_run(own / RUN) else []
    return Attempt(number, values, rows)


def study_of(space: Space, known: Sequence[Attempt], number: int) -> Any:
    """Optuna's study as it is before the training with this number draws, or is judged.

    known   trainings besides it
    The sampler's seed is of the number: an interrupted search draws the same again.
    """
    package, search = optuna(), space.search
    study = package.create_study(
        direction="maximize",
        sampler=package.samplers.TPESampler(
            seed=seed_of(space.seed, f"search {number}") % 2**32, multivariate=True, constant_liar=True
        ),
        pruner=package.pruners.SuccessiveHalvingPruner(min_resource=search.least, reduction_factor=search.factor)
        if search.prune
        else package.pruners.NopPruner(),
    )
    for one in known:
        if one.trial is not None and one.trial.status == "failed":
            continue
        trial, _ = replayed(study, space, one)
        if one.trial is not None:
            study.tell(trial, one.best, state=package.trial.TrialState.COMPLETE)
    return study


def replayed(study: Any, space: Space, attempt: Attempt) -> tuple[Any, bool]:
    """Optuna's trial of a training, with all its epochs so far, and whether it ends with the last one."""
    study.enqueue_trial(dict(attempt.values))
    trial, ends = study.ask(space.distributions()), False
    for epoch, value in enumerate(attempt.rows, 1):
        trial.report(value, epoch)
        # The pruner keeps what it compares when it is asked, once for each epoch.
        ends = trial.should_prune()
    return trial, ends


@dataclass(frozen=True)
class Searcher:
    """Makes a trial of a search: draws what to try, trains, and ends where others are better.

    space       what is tried
    folder      of all of its trials, whose number is their seed
    data        without a test split
    where, threads, allow_code, tell  as for `learner`
    """

    space: Space
    folder: Path
    data: Data
    where: Where
    threads: int = 1
    allow_code: bool = False
    tell: Tell = field(default=lambda text: None)

    def __call__(self, spec: Path, seed: int, folder: Path) -> Trial:
        values = self._drawn(seed, folder)
        with threads_of(self.threads):
            path, sets = self.space.networks[self.space.network(values)], self.space.sets(values)
            run = run_of(path, sets, folder / RUN, self.data, allow_code=self.allow_code)
            go_on(run, self.data, where=self.where, enough=self._enough(seed, values), say=unsaid, tell=self.tell)
        found, steps = trial_of(run), (run.checkpoint or {})["progress"]["step"]
        pruned = steps < steps_of(run.training.recipe, len(self.data.train))[1]
        return Trial(
            "done",
            found.scores,
            found.images,
            found.validation,
            found.best_epoch,
            {**found.cost, "pruned": float(pruned)},
        )

    def _drawn(self, number: int, folder: Path) -> dict[str, Any]:
        """What the trial tries: drawn once."""
        known = _attempt(self.folder, number)
        if known is not None:
            return dict(known.values)
        others = attempts(self.folder, self.space.search.trials)
        study = study_of(self.space, [one for one in others if one.number != number], number)
        values = dict(study.ask(self.space.distributions()).params)
        write_text(folder / TRIED, json.dumps(values), force=True)
        return values

    def _enough(self, number: int, values: Mapping[str, Any]) -> Callable[[Sequence[Mapping[str, Any]]], bool]:
        def enough(rows: Sequence[Mapping[str, Any]]) -> bool:
            others = [one for one in attempts(self.folder, self.space.search.trials) if one.number != number]
            own = Attempt(number, values, [float(row["metric"]) for row in rows])
            return replayed(study_of(self.space, others, number), self.space, own)[1]

        return enough


def best_of(found: Sequence[Attempt]) -> Attempt:
    """The training that is chosen, by validation: of those of full length. Raises InputError if all failed."""
    done = [one for one in found if one.is_done]
    whole = [one for one in done if not one.was_pruned] or done
    if not whole:
        errors = sorted({one.trial.error for one in found if one.trial is not None and one.trial.error})
        text = "all trainings of the search failed"
        raise InputError(Diagnostic("comparison", text, help=tuple(errors[:3])))
    return max(whole, key=lambda one: (one.best, -one.number))
