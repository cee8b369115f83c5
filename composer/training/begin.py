"""Makes the folder of a run: the network for the data, its first weights, and what is known of both."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from composer import __version__
from composer.artefacts import lock
from composer.compile.graph import compile_graph
from composer.compile.module import ComposedModule
from composer.errors import Diagnostic, InputError, SpecError
from composer.files import write_text
from composer.images import find_images, read_image
from composer.spec.dump import dump
from composer.spec.model import InputSpec, WeightsSpec
from composer.spec.spec import Spec
from composer.spec.training import Training
from composer.training import checkpoint
from composer.training.checkpoint import Progress
from composer.training.network import Fitted, fitted
from composer.training.optimizers import optimizer_maker
from composer.training.places import frozen_by, parameters_at
from composer.training.run import Run
from composer.training.tasks import Task
from composer.weights.choose import fill
from composer.weights.save import metadata_of

if TYPE_CHECKING:
    from composer.training.data import Data

LOCKED, ENVIRONMENT = "network.lock.yaml", "environment.txt"


def begin(
    spec: Spec,
    data: Data,
    training: Training,
    folder: Path,
    *,
    weights: WeightsSpec | None = None,
    size: int | tuple[int, int] | None = None,
    opening: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
) -> Run:
    """Make the folder of a run: its spec, recipe, first weights and record.

    spec      the network
    data      what it is trained on
    training  the recipe
    folder    a new or an empty folder
    weights   what it starts with; None for random weights
    size      of the network's input in pixels, where it shall be another
    opening   how the data was opened, so that whoever goes on opens the same
    say       is told what was chosen, in sentences
    Raises SpecError, GraphError, InputError, WeightsError.
    """
    from composer.training.learner import steps_of

    Run.check_new(folder)
    recipe = training.recipe
    steps_of(recipe, len(data.train))
    optimizer_maker(training)
    if isinstance(recipe.look, list):
        # An image that cannot be read is said before the training.
        for path in find_images(map(Path, recipe.look)):
            read_image(path)
    found, model, notes = _first(spec, data, weights, size, recipe.seed)
    SpecError.check(group_problems(model, training))
    for sentence in (*data.said, *found.said, *notes):
        say(sentence)
    record = {
        "composer": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "state": "begun",
        "network": found.graph.spec.name,
        "task": data.task,
        "metric": Task(data.task, data.outputs).metric,
        "classes": list(data.classes),
        "data": {
            "source": data.name,
            "fingerprint": data.fingerprint,
            "training": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
            "left_out": [list(one) for one in data.unreadable],
            "opening": dict(opening or {}),
        },
        "weights": None if weights is None else weights.source,
        "parameters": found.graph.num_parameters,
        "macs": found.graph.num_macs,
    }
    run = Run.begun(folder, found.mapping, recipe.to_mapping(), record)
    write_text(folder / LOCKED, dump(lock(found.graph, recipe.seed)), force=True)
    write_text(folder / ENVIRONMENT, _environment(), force=True)
    tensors = {name: one.detach().contiguous() for name, one in model.state_dict().items()}
    checkpoint.save(run, Progress(), tensors, {}, metadata=metadata_of(model))
    return run


def _environment() -> str:
    """The installed packages, as `pip freeze` writes them."""
    found = {one.name: one.version for one in metadata.distributions() if one.name}
    return "".join(f"{name}=={found[name]}\n" for name in sorted(found, key=str.lower))


def _first(
    spec: Spec, data: Data, weights: WeightsSpec | None, size: int | tuple[int, int] | None, seed: int
) -> tuple[Fitted, ComposedModule, list[str]]:
    """The network for this data, with its first weights; and what became of them, in sentences."""
    image: InputSpec | None = None
    if weights is not None:
        # How the weights want their images is known when they are read; the classifier of the data is another.
        trial = compile_graph(fitted(spec, data, size=size, image=next(iter(spec.inputs.values()))).written, seed)
        image = fill(trial, weights)[0].image or next(iter(spec.inputs.values()))
    found = fitted(spec, data, image=image, size=size)
    model = compile_graph(found.graph, seed)
    if weights is None:
        return found, model, []
    report, _ = fill(model, weights)
    return found, model, [str(one) for one in (*report.adapted, *report.heads, *report.notes)]


def group_problems(model: ComposedModule, training: Training) -> list[Diagnostic]:
    """What is wrong with the groups of a recipe for this network: places that it does not have, nothing to train."""
    problems, groups = list[Diagnostic](), training.recipe.groups
    for index, group in enumerate(groups):
        for word in group.at:
            try:
                parameters_at(model, word)
            except InputError as error:
                one = error.diagnostics[0]
                origin = training.origin("groups", index, "at").written
                problems.append(origin.problem("no-match", one.message, one.label, one.help))
    if not problems and frozen_by(model, groups) == {name for name, _ in model.named_parameters()}:
        origin = training.origin("groups").written
        text, help = "the groups freeze all parameters", ("`{at: head, freeze: false}` after them trains the head",)
        problems.append(origin.problem("empty", text, "something to train", help))
    return problems
