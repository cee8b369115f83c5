"""Trials that are trainings: each is a run of `composer train` in the trial's folder."""

from __future__ import annotations

import contextlib
import csv
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from composer.comparing.plan import Plan
from composer.comparing.trials import Job, RunTrial, Trial
from composer.compile.graph import compile_graph
from composer.errors import Diagnostic, InputError, SpecError
from composer.network import Graph
from composer.spec.load import load_spec
from composer.spec.settings import read_settings
from composer.spec.spec import Spec
from composer.spec.training import settle_training
from composer.training.begin import begin, group_problems
from composer.training.data import Data
from composer.training.go_on import go_on
from composer.training.learner import steps_of
from composer.training.network import fitted
from composer.training.optimizers import optimizer_maker
from composer.training.run import IMAGES, Run, is_run
from composer.training.trainer import Where
from composer.weights.choose import choose

RUN = "run"
# Task -> the column of a test's table that says how right each image is, and whether it says how wrong instead.
_COLUMNS = {"classes": ("correct", False), "labels": ("wrong_labels", True), "map": ("correct_pixels", False)}

Tell = Callable[[str], None]


def fitting_to(data: Data) -> Callable[[Spec], Graph]:
    """What makes a spec's network for this data: its classes, channels and size, as training does."""

    def fit(spec: Spec) -> Graph:
        # With weights, a network keeps the size for which these were made.
        image = None if spec.weights is None else next(iter(spec.inputs.values()))
        return fitted(spec, data, image=image).graph

    return fit


def check_data(data: Data) -> None:
    """Raises InputError for data whose targets are values, and for data that is tested on its validation images.

    A comparison is about shares of what is right, on images that did not choose the epoch.
    """
    if data.task not in _COLUMNS:
        text = f"`{data.name}` has values to learn, and a comparison is about what is right of each image"
        raise InputError(Diagnostic("comparison", text, label="classes, labels or maps of classes"))
    validation, test = ([split.name(index) for index in range(len(split))] for split in (data.validation, data.test))
    if validation == test:
        text = f"`{data.name}` has no test images of its own: the epoch would be chosen on the images that are tested"
        help = ("give it a split `test`; of images without any split, a share is taken for each",)
        raise InputError(Diagnostic("comparison", text, label="a test split", help=help))


def check_recipe(plan: Plan, data: Data) -> None:
    """Raises SpecError or InputError for a recipe that trains no network, not all of them, or not all to the same full
    length.
    """
    training = settle_training(plan.running[0].spec.files) if plan.running else None
    if training is None:
        return
    if training.recipe.patience is not None:
        origin = training.origin("patience").written
        text, help = "`patience` ends a training early, and a comparison trains all to the full length", ("remove it",)
        raise SpecError(origin.problem("both", text, "no `patience`", help, key=True))
    steps_of(training.recipe, len(data.train))
    optimizer_maker(training)
    if training.recipe.groups:
        problems: list[Diagnostic] = []
        for row in plan.running:
            assert row.graph is not None, "what is trained was composed"
            network = f"this is so in `{plan.label(*row.arm.key)}`, and one recipe trains all networks"
            problems += [
                replace(one, help=(network, *one.help)) for one in group_problems(compile_graph(row.graph), training)
            ]
        SpecError.check(problems)


def learner(
    data: Data, where: Where, *, threads: int = 1, allow_code: bool = False, tell: Tell = lambda text: None
) -> RunTrial:
    """What trains a network: on data, on some devices. A folder with an interrupted run is gone on with.

    data        the same for all trials
    where       the devices
    threads     of a trial on a CPU: more of them add up in another order, and end in other bits
    allow_code  let a backbone `package.module:factory` run its code
    tell        is told how far a training is
    """
    return _Learner(data, where, threads, allow_code, tell)


@dataclass(frozen=True)
class _Learner:
    """What `learner` gives. It can be sent to other processes, if `tell` can."""

    data: Data
    where: Where
    threads: int
    allow_code: bool
    tell: Tell

    def __call__(self, spec: Path, seed: int, folder: Path) -> Trial:
        with threads_of(self.threads):
            run = run_of(spec, [f"train.seed={seed}"], folder / RUN, self.data, allow_code=self.allow_code)
            return trial_of(go_on(run, self.data, where=self.where, say=lambda text: None, tell=self.tell))


def run_of(path: Path, sets: Iterable[str], folder: Path, data: Data, *, allow_code: bool) -> Run:
    """The run of a trial: the one that its folder has, or a new one.

    path    the spec, as a comparison wrote it
    sets    `train.…` settings of the trial
    folder  of the run
    """
    if is_run(folder):
        return Run(folder)
    # What was interrupted before it began holds nothing.
    shutil.rmtree(folder, ignore_errors=True)
    # The comparison wrote this spec, with whole paths of weights, which its own spec was allowed to name.
    spec = load_spec(path, root=path.absolute().anchor, allow_code=allow_code)
    training = settle_training(spec.files, None, read_settings({}, [*sets, "train.look=false"]))
    return begin(spec, data, training, folder, weights=choose(spec, None), say=lambda text: None)


def is_on_gpu(where: Where) -> bool:
    """Whether these devices are a GPU's."""
    return where.accelerator in ("gpu", "cuda") or (where.accelerator == "auto" and torch.cuda.is_available())


def progress_of(job: Job) -> str:
    """How far a trial is, in words to be put behind its name; its process may be another."""
    try:
        rows = Run(job.folder / RUN).history
    except InputError:
        return ""
    return f", epoch {len(rows) + 1}"


@contextlib.contextmanager
def threads_of(number: int) -> Iterator[None]:
    """In this context, this thread has so many threads for its sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def trial_of(run: Run) -> Trial:
    """The trial that a finished run is."""
    record, history = run.record, run.history
    column, wrong = _COLUMNS[record["task"]]
    rows = [*csv.DictReader((run.folder / IMAGES).read_text(encoding="utf-8").splitlines())]
    values = [float(row[column]) for row in rows]
    return Trial(
        "done",
        [1 - one for one in values] if wrong else values,
        [row["name"] for row in rows],
        [float(row["metric"]) for row in history],
        int(record["best"]["epoch"]),
        {"seconds": sum(float(row["seconds"]) for row in history)},
    )
