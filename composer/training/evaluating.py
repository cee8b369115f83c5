"""Tests a run's best weights on images that it never saw, and keeps what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from composer.amounts import duration, plural
from composer.compile.module import ComposedModule
from composer.errors import Diagnostic, InputError, one_of
from composer.training.checkpoint import read_weights
from composer.training.data import Loader, evaluation_transform
from composer.training.looks import look_back
from composer.training.network import opened, output_of
from composer.training.page import write_page
from composer.training.run import IMAGES, Run
from composer.training.tasks import Task, full, interval, wilson

if TYPE_CHECKING:
    from composer.training.data import Data, Split


@dataclass(frozen=True)
class Evaluation:
    """What a network does on a split.

    metric    the name of the number
    value     the number
    low, high  its 95 % interval for other images like these; None where it has none
    loss      the mean loss
    rows      what came out for each image
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    loss: float
    rows: list[dict[str, Any]]

    def __str__(self) -> str:
        between = "" if self.low is None else f" (95 % interval {self.low:.4f} to {self.high:.4f})"
        return f"{self.metric} {self.value:.4f}{between}, {plural(len(self.rows), 'image')}"

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values, without the images."""
        bounds = None if self.low is None else [self.low, self.high]
        return {"metric": self.metric, "value": self.value, "interval": bounds, "loss": self.loss, "of": len(self.rows)}


def evaluate(
    model: ComposedModule,
    split: Split,
    task: Task,
    *,
    batch: int = 64,
    workers: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """What a network does on a split, in eval mode.

    model    the network, on the device where it runs
    split    images and targets
    task     what it learnt
    batch    images at once
    workers  processes that read images
    tell     is told how far it is
    """
    from composer.spec.recipe import Recipe

    image = next(iter(model.spec.inputs.values()))
    shape = next(iter(model.graph.root.inputs.values())).shape[1:]
    loader = Loader(split, evaluation_transform(image, shape), batch, seed=0, train=False, workers=workers)
    counter, rows, losses = task.counter(alone=True), list[dict[str, Any]](), 0.0
    first = next(model.parameters())
    name = output_of(model.graph)
    with torch.no_grad():
        for number, (images, targets) in enumerate(loader):
            tell(f"batch {number + 1} of {len(loader)}")
            found = model.eval()(images.to(first.device, first.dtype))
            output = full(found if isinstance(found, Tensor) else found[name]).cpu()
            task.count(counter, output, targets)
            losses += float(task.loss(output, targets, Recipe(), training=False)) * len(images)
            rows += task.rows(output, targets)
    for index, row in enumerate(rows):
        rows[index] = {"name": split.name(index), **row}
    low, high = _bounds(task, rows)
    return Evaluation(task.metric, task.value(counter), low, high, losses / max(1, len(rows)), rows)


def _bounds(task: Task, rows: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """The interval of a number that is a mean over images; None for others."""
    if task.kind == "classes":
        return wilson(sum(row["correct"] for row in rows), len(rows))
    if task.kind == "values":
        return interval(torch.tensor([row["absolute_error"] for row in rows], dtype=torch.float64))
    return None, None


def conclude(
    run: Run,
    model: ComposedModule,
    data: Data,
    say: Callable[[str], None],
    tell: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Test a run's best weights on the test split, once; keep what came out, and say it.

    run    its training is at its end
    model  its network; it gets the best weights
    data   with the test split
    say    is told sentences
    tell   is told how far it is
    """
    model.load_state_dict(read_weights(run.weights))
    recipe = run.training.recipe
    found = evaluate(
        model, data.test, Task(data.task, data.outputs), batch=recipe.batch, workers=recipe.workers, tell=tell
    )
    run.write_table(IMAGES, found.rows)
    progress = (run.checkpoint or {})["progress"]
    record = run.record
    run.write_record({**record, "state": "done", "best": progress["best"], "test": found.to_json()})
    seen = look_back(run, model, data, say)
    write_page(run, data)
    best = progress["best"]
    say(f"best epoch {best['epoch']} of {len(progress['rows'])}: {found.metric} {best['metric']:.4f} by validation")
    say(f"test, read once: {found}")
    took, parameters = duration(progress["seconds"]), record["parameters"]
    say(f"{took} of training, {parameters:,} parameters")
    if seen is not None:
        say(f"what attention does on a few images, before and after: {seen}")
    return found


def again(run: Run, data: Data, device: torch.device, tell: Callable[[str], None] = lambda text: None) -> Evaluation:
    """What a run's best weights do on the test split of some data.

    run     the folder
    data    of the same classes
    device  where the network runs
    tell    is told how far it is
    Raises InputError for data of another task or of other classes.
    """
    record = run.record
    model = opened(run)
    known = list(model.spec.classes or ())
    if data.task != record["task"] or (known and list(data.classes) != known):
        gone = [name for name in known if name not in data.classes]
        new = [name for name in data.classes if name not in known]
        parts = [f"{word}: {one_of(names)}" for word, names in (("not in the data", gone), ("new", new)) if names]
        text = f"`{data.name}` has other classes than `{run}` learnt"
        help = tuple(parts or ["their order is another"])
        raise InputError(Diagnostic("run-classes", text, help=help))
    model.load_state_dict(read_weights(run.weights))
    return evaluate(
        model.to(device), data.test, Task(data.task, data.outputs), batch=run.training.recipe.batch, tell=tell
    )
