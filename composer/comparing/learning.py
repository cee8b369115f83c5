"""Trials that are trainings: each is a run of `composer train` in the trial's folder."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

from composer.comparing.plan import Plan
from composer.comparing.trials import RunTrial, Trial
from composer.errors import Diagnostic, InputError, SpecError
from composer.network import Graph
from composer.spec.load import load_spec
from composer.spec.settings import read_settings
from composer.spec.spec import Spec
from composer.spec.training import settle_training
from composer.training.begin import begin
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
    """Raises SpecError or InputError for a recipe that trains no network, or not all to the same full length."""
    training = settle_training(plan.running[0].spec.files) if plan.running else None
    if training is None:
        return
    if training.recipe.patience is not None:
        origin = training.origin("patience").written
        text, help = "`patience` ends a training early, and a comparison trains all to the full length", ("remove it",)
        raise SpecError(origin.problem("both", text, "no `patience`", help, key=True))
    steps_of(training.recipe, len(data.train))
    optimizer_maker(training)


def learner(data: Data, where: Where, *, allow_code: bool = False, tell: Tell = lambda text: None) -> RunTrial:
    """What trains a network: on data, on some devices. A folder with an interrupted run is gone on with.

    data        the same for all trials
    where       the devices
    allow_code  let a backbone `package.module:factory` run its code
    tell        is told how far a training is
    """

    def run(spec: Path, seed: int, folder: Path) -> Trial:
        own = folder / RUN
        if is_run(own):
            found = Run(own)
        else:
            # What was interrupted before it began holds nothing.
            shutil.rmtree(own, ignore_errors=True)
            found = _begun(spec, seed, own, data, allow_code)
        return trial_of(go_on(found, data, where=where, say=lambda text: None, tell=tell))

    return run


def _begun(path: Path, seed: int, folder: Path, data: Data, allow_code: bool) -> Run:
    spec = load_spec(path, allow_code=allow_code)
    training = settle_training(spec.files, None, read_settings({}, [f"train.seed={seed}", "train.look=false"]))
    return begin(spec, data, training, folder, weights=choose(spec, None), say=lambda text: None)


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
