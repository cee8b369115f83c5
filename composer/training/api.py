"""Training, for Python users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from composer import given
from composer.api import Source
from composer.spec.document import Document
from composer.spec.load import load_spec
from composer.spec.settings import Setting
from composer.spec.training import settle_training
from composer.training.begin import begin
from composer.training.data import Data, open_data
from composer.training.differing import run_exists
from composer.training.evaluating import Evaluation, again
from composer.training.go_on import go_on
from composer.training.run import Run, is_run
from composer.training.trainer import HERE, Where, require
from composer.weights.choose import choose


def train(
    source: Source,
    data: str | Data = "digits",
    *,
    out: str | Path,
    recipe: str | Path | Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    weights: str | Path | Mapping[str, Any] | None = None,
    download: bool = False,
    vars: Mapping[str, Any] | None = None,
    size: int | tuple[int, int] | None = None,
    task: str | None = None,
    strict: bool = False,
    where: Where = HERE,
    allow_code: bool = False,
    say: Callable[[str], None] = print,
    tell: Callable[[str], None] = lambda text: None,
) -> Run:
    """Train a network on data; the best epoch is chosen by validation, and the test split is read once, at the end.

    source    as for `composer.build`
    data      `digits`, a folder of images, a `.csv`, `.npz` or `.tar`, `hf:NAME`, `torchvision:NAME`; or opened data
    out       the run's folder, new or empty
    recipe    a recipe by name, a file, or a mapping, in place of the spec's `train`
    settings  parts of the recipe that are changed, such as {"epochs": 3, "optimizer": {"lr": 0.01}}
    weights   in place of the spec's, as for `composer.build`
    download  let a reference that the spec itself writes connect
    vars      values for the spec's vars
    size      height and width of the network's input in pixels, or a number for both
    task      `classes`, `labels`, `values` or `map`, where the data does not say it
    strict    refuse data with images that cannot be read
    where     the devices
    allow_code  let a backbone `package.module:factory` run its code
    say, tell are told sentences for the user, and how far it is
    Raises SpecError, GraphError, WeightsError, InputError; UnavailableError without the extra `train`.
    """
    require()
    spec = load_spec(source, vars=vars, weights=weights is None, allow_code=allow_code)
    training = settle_training(spec.files, recipe, _settings(settings or {}))
    chosen = choose(spec, weights, download=download)
    folder = given.path("out", out)
    exists = is_run(folder)
    if not exists:
        Run.check_new(folder)
    options = {"task": task, "strict": strict, "seed": training.recipe.seed}
    opened = data if isinstance(data, Data) else open_data(data, tell=tell, **options)  # type: ignore[arg-type]
    if exists:
        raise run_exists(Run(folder), spec, opened, training, weights=chosen, size=size)
    run = begin(spec, opened, training, folder, weights=chosen, size=size, opening=options, say=say)
    return go_on(run, opened, where=where, say=say, tell=tell, allow_code=allow_code)


def resume(
    folder: str | Path,
    data: str | Data | None = None,
    *,
    where: Where = HERE,
    say: Callable[[str], None] = print,
    tell: Callable[[str], None] = lambda text: None,
) -> Run:
    """Train from a run's last checkpoint to its end: on a CPU, the result is that of a run that never stopped.

    folder    the run
    data      where the same data is now, if it was moved
    where     the devices
    say, tell are told sentences for the user, and how far it is
    Raises InputError if the data is another, or the folder is no run.
    """
    require()
    run = Run(given.path("folder", folder))
    return go_on(run, data_of(run, data, tell), where=where, say=say, tell=tell)


def evaluate(
    folder: str | Path,
    data: str | Data | None = None,
    *,
    device: str = "auto",
    tell: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """What a run's best weights do on the test split of some data.

    folder  the run
    data    other data of the same classes; by default its own, whose test split was read before
    device  where the network runs
    tell    is told how far it is
    Raises InputError for data of another task or of other classes.
    """
    from composer.devices import check_device

    require()
    run = Run(given.path("folder", folder))
    target = check_device(device)
    assert target is not None
    return again(run, data_of(run, data, tell), target, tell)


def data_of(run: Run, data: str | Data | None, tell: Callable[[str], None] = lambda text: None) -> Data:
    """The data of a run, opened as it was when the run began; or this data, opened in the same way.

    Raises InputError.
    """
    begun = run.record["data"]
    if isinstance(data, Data):
        return data
    return open_data(begun["source"] if data is None else data, tell=tell, **begun["opening"])


def _settings(given: Mapping[str, Any]) -> list[Setting]:
    """A mapping of a recipe's parts as settings of single values."""
    root = Document.from_mapping({"train": dict(given)}, "<settings>").root
    found: list[Setting] = []

    def walk(value: Any, steps: tuple[str, ...]) -> None:
        if isinstance(value.data, dict):
            for name, child in value.data.items():
                walk(child, (*steps, name))
        else:
            found.append(Setting(steps, value))

    walk(root, ())
    return found
