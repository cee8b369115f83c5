"""A search: which variant, and with which recipe; then what it chose is compared on fresh seeds with a plain network.

Trainings that are behind are ended early here, and never in the comparison, whose test images the search does not read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.comparing.cluster import Workers, connected
from composer.comparing.control import Controls, Pair
from composer.comparing.costs import Composer, Row
from composer.comparing.declared import declared_threads
from composer.comparing.file import PLAIN, ComparisonFile, ControlSpec, RangeSpec, read_comparison
from composer.comparing.plan import Plan, make_plan
from composer.comparing.results import Results
from composer.comparing.several import every_of, opened, told, workers_of
from composer.comparing.trials import Job, Tell, read_trial
from composer.comparing.untested import without_test
from composer.comparing.write import SPECS, spec_names, spec_texts, write_texts
from composer.errors import Diagnostic, InputError, SpecError
from composer.searching.extra import optuna
from composer.spec.document import Document
from composer.spec.settings import read_settings
from composer.spec.training import settle_training

if TYPE_CHECKING:
    from composer.searching.attempts import Attempt, Space
    from composer.training.data import Data
    from composer.training.trainer import Where

# The folder of the trainings that choose.
SEARCH = "search"


@dataclass(frozen=True)
class Found:
    """What a search found, and what its comparison shows.

    results   of the comparison on fresh seeds
    attempts  half of the search -> its trainings
    """

    results: Results
    attempts: Mapping[str, Sequence[Attempt]]


def search(
    source: str | Path | Mapping[str, Any],
    data: str | Data,
    *,
    out: str | Path,
    sets: Iterable[str] = (),
    root: str | Path | None = None,
    allow_code: bool = False,
    where: Where | None = None,
    parallel: int | None = None,
    address: str | None = None,
    threads: int | None = None,
    retry: bool = False,
    say: Tell = print,
    tell: Tell = lambda text: None,
) -> Found:
    """Search a variant of a network and its recipe, then compare them with a plain network that was tuned as long.

    source  the file of a comparison with `search`, or a mapping
    data    what all are trained on, as for `composer.train`
    out     the folder of the report and of all trainings, which a later call goes on with
    Other arguments are those of `compare`. Raises what `compare` raises; UnavailableError without
    the extra `sweep`.
    """
    options = {"root": root, "allow_code": allow_code}
    known: dict[str, Any] = {"workers": workers_of(parallel, address), "threads": threads, "retry": retry}
    return searched(read_comparison(source, sets), data, Path(out), options, where=where, **known, say=say, tell=tell)


def searched(
    file: ComparisonFile,
    data: str | Data,
    folder: Path,
    options: Mapping[str, Any],
    *,
    where: Where | None = None,
    workers: Workers | None = None,
    threads: int | None = None,
    retry: bool = False,
    say: Tell = print,
    tell: Tell = lambda text: None,
) -> Found:
    """What the search of a file finds. Arguments and errors are those of `search`; options are `make_plan`'s."""
    if file.content.search is None:
        help = ("such as `search: {trials: 8, ranges: {train.optimizer.lr: {from: 1.0e-4, to: 1.0e-2, log: true}}}`",)
        raise SpecError(file.origin.problem("neither", "the file has no `search`", "what is searched", help))
    optuna()
    data = opened(data, workers, tell)
    from composer.comparing.api import run_plan
    from composer.comparing.learning import check_recipe, fitting_to
    from composer.searching.record import (
        CONTROL,
        DECLARATION,
        VARIANTS,
        declare_search,
        effort,
        write_attempts,
    )
    from composer.training.trainer import HERE

    plan = make_plan(file, fit=fitting_to(data), tell=tell, **options)
    if not plan.declared:
        text = f"`{file.name}` has nothing to search: no variant composes within the budget"
        raise InputError(Diagnostic("comparison", text, help=plan.unmade))
    check_recipe(plan, data)
    _check_ranges(plan)
    threads = threads or declared_threads(folder / SEARCH / DECLARATION) or 1
    declare_search(plan, data, folder / SEARCH, threads)
    for sentence in data.said:
        say(sentence)
    allow_code = bool(options.get("allow_code"))
    composer = Composer(file.path, options.get("root"), allow_code=allow_code, fit=fitting_to(data))
    half = _Half(plan, data, folder / SEARCH, where or HERE, workers, threads, allow_code, retry)
    with connected(workers, folder.absolute()) if workers is not None else contextlib.nullcontext():
        variants = [row for row in plan.rows if row.arm.kind == "variant" and row.runs]
        tried, row, recipe = half.best(VARIANTS, variants, say, tell)
        pair, beside = _control(plan, row, composer)
        others, _, beside_recipe = half.best(CONTROL, [beside], say, tell)
        attempts = {VARIANTS: tried, CONTROL: others}
        write_attempts(folder, attempts)
        said = [
            *effort(plan, attempts, beside.arm.variant),
            *([f"no other network costs as much: {pair.reason}"] if pair.reason else []),
        ]
        for sentence in said:
            say(sentence)
        plain = plan.plain_of(row)
        rows = [*([] if beside is plain else [plain]), tuned(row, recipe, composer)]
        rows.append(tuned(beside, beside_recipe, composer))
        final = Plan(file, rows, [replace(pair, reason="")], tuning=said)
        known: dict[str, Any] = {"workers": workers, "threads": threads, "retry": retry, "say": say, "tell": tell}
        results = run_plan(final, data, folder, where or HERE, allow_code=allow_code, **known)
    return Found(results, attempts)


@dataclass(frozen=True)
class _Half:
    """One half of a search: what runs its trainings."""

    plan: Plan
    data: Data
    folder: Path
    where: Where
    workers: Workers | None
    threads: int
    allow_code: bool
    retry: bool

    def best(
        self, name: str, rows: Sequence[Row], say: Tell, tell: Tell
    ) -> tuple[list[Attempt], Row, Mapping[str, Any]]:
        """All trainings of some networks, the network of the best one, and its recipe."""
        from composer.searching.attempts import Space, attempts, best_of

        search = self.plan.file.content.search
        assert search is not None, "a search is asked for"
        specs = self._specs(rows)
        space = Space(search, {one.arm.variant: specs[one.arm.key] for one in rows}, self.plan.file.content.search_seed)
        self._run(name, space, say, tell)
        found = attempts(self.folder / name, search.trials)
        best = best_of(found)
        row = next(one for one in rows if one.arm.variant == space.network(best.values))
        sets = [f"{path}={json.dumps(best.values[path])}" for path in search.ranges]
        recipe = settle_training(row.spec.files, None, read_settings({}, sets)).recipe
        return found, row, recipe.to_mapping()

    def _specs(self, rows: Sequence[Row]) -> dict[tuple[str, str], Path]:
        plan = replace(self.plan, rows=rows)
        names, texts = spec_names(plan), spec_texts(plan)
        write_texts(self.folder, {f"{SPECS}/{name}": text for name, text in texts.items()}, force=True)
        return {key: self.folder / SPECS / name for key, name in names.items()}

    def _run(self, name: str, space: Space, say: Tell, tell: Tell) -> None:
        from composer.searching.attempts import Searcher, attempt_folder

        folder = self.folder / name
        jobs = []
        for number in range(space.search.trials):
            own = attempt_folder(folder, number)
            trial = read_trial(own)
            if trial is not None and not (self.retry and trial.status == "failed"):
                continue
            own.mkdir(parents=True, exist_ok=True)
            label = f"search of {name}, training {number + 1}"
            jobs.append(Job(label, folder, number, own, trial.attempts if trial else 0))
        if not jobs:
            return
        here = replace(space, networks={key: path.absolute() for key, path in space.networks.items()})

        def make(own: Tell) -> Searcher:
            return Searcher(here, folder.absolute(), without, self.where, self.threads, self.allow_code, own)

        without = without_test(self.data)
        run, tell = told(make, self.workers, tell)
        graphs = [row.graph for row in self.plan.rows]
        every = every_of(self.workers, graphs, self.folder, self.where, threads=self.threads, say=say)
        every(run, jobs, lambda job: None, tell)


def tuned(row: Row, recipe: Mapping[str, Any], composer: Composer) -> Row:
    """A network with a recipe of its own. Raises SpecError."""
    document = row.arm.document
    value = Document.from_mapping({"train": dict(recipe)}, document.source.name).root.data["train"]
    arm = replace(row.arm, document=replace(document, root=document.root.with_value(("train",), value)))
    (spec,) = composer.examined([arm])
    return replace(row, arm=arm, spec=spec)


def _control(plan: Plan, row: Row, composer: Composer) -> tuple[Pair, Row]:
    """The plain network that is compared with what was chosen: one of its cost, if there is one."""
    wanted = plan.file.content.control
    controls = Controls(composer, wanted if wanted.wanted else ControlSpec(wider=True), plan.file.origin / "control")
    plain, why = plan.plain_of(row), ""
    for pair, beside in controls.of(row, plain):
        if beside is not None:
            return pair, beside
        why = why or pair.reason
    return Pair(row.arm.backbone, row.arm.variant, PLAIN, PLAIN, reason=why), plain


def _check_ranges(plan: Plan) -> None:
    """Raises SpecError for values that the recipe cannot have, at their lines."""
    from composer.training.optimizers import optimizer_maker

    search, files = plan.file.content.search, plan.running[0].spec.files
    assert search is not None, "a search is asked for"
    problems: list[Diagnostic] = []
    for path, values in search.ranges.items():
        here = plan.file.origin / "search" / "ranges" / path
        ends = [values.from_, values.to] if isinstance(values, RangeSpec) else values
        keys: Sequence[str | int] = ("from", "to") if isinstance(values, RangeSpec) else range(len(values))
        for key, value in zip(keys, ends, strict=True):
            try:
                optimizer_maker(settle_training(files, None, read_settings({}, [f"{path}={json.dumps(value)}"])))
            except SpecError as error:
                one = error.diagnostics[0]
                text = f"`{path}` cannot be {json.dumps(value)}: {one.message}"
                problems.append((here / key).problem("range", text, one.label, one.help))
    SpecError.check(problems)
