"""Trains a network on data, and leaves a run: a folder from which anybody can go on."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from composer import __version__
from composer.compile.graph import compile_graph
from composer.compile.module import ComposedModule
from composer.errors import Diagnostic, InputError, SpecError, UnavailableError
from composer.spec.model import InputSpec, WeightsSpec
from composer.spec.spec import Spec
from composer.spec.training import Training
from composer.training import checkpoint
from composer.training.checkpoint import Progress
from composer.training.network import Fitted, fitted, opened, output_of
from composer.training.optimizers import optimizer_maker
from composer.training.places import frozen_by, groups, norms, parameters_at
from composer.training.room import ADVICE, check_room
from composer.training.run import Run
from composer.training.tasks import Task
from composer.weights.choose import fill
from composer.weights.save import metadata_of

if TYPE_CHECKING:
    from composer.training.data import Data, Split

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Where:
    """The devices that train.

    accelerator  `auto`, `cpu`, `gpu` …, as Lightning has them
    devices      how many, on each machine; None for Lightning's own choice, which is 1 on a CPU
    nodes        machines
    strategy     `auto` or `ddp`
    """

    accelerator: str = "auto"
    devices: int | None = None
    nodes: int = 1
    strategy: str = "auto"


# This process, on the device that Lightning chooses.
HERE = Where()


def require() -> None:
    """Raises UnavailableError without the extra `train`."""
    try:
        for package in ("lightning.pytorch", "torchmetrics"):
            importlib.import_module(package)
    except ImportError as error:
        text = f"training needs the package `{package.partition('.')[0]}`"
        help = ("pip install 'attention-composer[train]'",)
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help)) from error


def begin(
    spec: Spec,
    data: Data,
    training: Training,
    folder: Path,
    *,
    weights: WeightsSpec | None = None,
    size: int | tuple[int, int] | None = None,
    opening: Mapping[str, Any] | None = None,
    say: Tell = print,
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
    found, model, notes = _first(spec, data, weights, size, recipe.seed)
    _check_groups(model, training)
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
    tensors = {name: one.detach().contiguous() for name, one in model.state_dict().items()}
    checkpoint.save(run, Progress(), tensors, {}, metadata=metadata_of(model))
    return run


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


def _check_groups(model: ComposedModule, training: Training) -> None:
    """Raises SpecError for a group at places that do not exist."""
    problems = []
    for index, group in enumerate(training.recipe.groups):
        for word in group.at:
            try:
                parameters_at(model, word)
            except InputError as error:
                one = error.diagnostics[0]
                origin = training.origin("groups", index, "at").written
                problems.append(origin.problem("no-match", one.message, one.label, one.help))
    SpecError.check(problems)


def go_on(run: Run, data: Data, *, where: Where = HERE, say: Tell = print, tell: Tell = lambda text: None) -> Run:
    """Train from a run's last checkpoint to its end, then test it, once.

    run    the folder
    data   the data that it was begun with
    where  the devices
    say    is told sentences for the user
    tell   is told how far it is
    Raises InputError if the data is another, the loss is not finite, or memory or disk are full; the last checkpoint
    stays.
    """
    with run.alone() if is_first() else run.begun_by_first():
        record = run.record
        _check_data(run, record, data)
        if record["state"] == "done":
            say(f"{run} is trained to its end")
            return run
        _trained(run, data, where, say, tell)
        return run


def _check_data(run: Run, record: Mapping[str, Any], data: Data) -> None:
    """Raises InputError if the data is not what the run was begun with."""
    begun = record["data"]
    if begun["fingerprint"] == data.fingerprint:
        return
    found = {"training": len(data.train), "validation": len(data.validation), "test": len(data.test)}
    differing = [f"{name}: {begun[name]} images, now {now}" for name, now in found.items() if begun[name] != now]
    text = f"`{data.name}` is not the data that `{run}` was begun with"
    raise InputError(
        Diagnostic("run-data", text, help=tuple(differing or ["names, sizes, targets or the split are others"]))
    )


def _trained(run: Run, data: Data, where: Where, say: Tell, tell: Tell) -> None:
    from composer.training.data import Loader, evaluation_transform, training_transform
    from composer.training.keeping import Keeper, stopping_after_step
    from composer.training.learner import Learner, Part, steps_of

    training = run.training
    recipe = training.recipe
    model = opened(run)
    kept = checkpoint.load(run)
    assert kept is not None, "a run begins with a checkpoint"
    progress, weights, state = kept
    model.load_state_dict(weights)
    frozen = frozen_by(model, recipe.groups)
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)
    if recipe.checkpoint:
        model.set_grad_checkpointing()
    if recipe.channels_last:
        model.to(memory_format=torch.channels_last)
    shape = next(iter(model.graph.root.inputs.values())).shape[1:]
    image = next(iter(model.spec.inputs.values()))
    per_epoch, total = steps_of(recipe, len(data.train))
    make = optimizer_maker(training)
    micro = recipe.batch // recipe.accumulate

    def optimizer(module: torch.nn.Module) -> torch.optim.Optimizer:
        at = [(one.at, {"lr": one.lr, "weight_decay": one.weight_decay}) for one in recipe.groups]
        chosen = recipe.optimizer
        return make(groups(model, at, lr=chosen.lr, weight_decay=chosen.weight_decay, layer_decay=recipe.layer_decay))

    def loader(split: Split, transform: Any, *, train: bool) -> Loader:
        return Loader(
            split,
            transform,
            micro // trainer.world_size,
            seed=recipe.seed,
            train=train,
            workers=recipe.workers,
            rank=trainer.global_rank,
            world=trainer.world_size,
        )

    def batches(epoch: int, first: int, count: int) -> Part:
        found = loader(data.train, training_transform(recipe.augment, image, shape, data.task), train=True)
        found.epoch, found.first = epoch, first
        return Part(found, count)

    task = Task(data.task, data.outputs)
    learner = Learner(
        model,
        task,
        recipe,
        loader=batches,
        validation=lambda: loader(data.validation, evaluation_transform(image, shape), train=False),
        output=output_of(model.graph),
        optimizer=optimizer,
        per_epoch=per_epoch,
        total=total,
        progress=progress,
        frozen=frozen,
    )
    keeper = Keeper(run, learner, state, metadata_of(model), tell)
    trainer = _trainer(run, recipe, where, keeper, epochs=-(-(total - progress.step) // per_epoch))
    check_room(model.graph, recipe, micro // trainer.world_size, trainer.strategy.root_device)
    if trainer.world_size > 1 and not recipe.freeze_norms and any(norms(model)):
        say(f"batch norms use the {micro // trainer.world_size} images of their own process; `freeze_norms` keeps them")
    if is_first():
        run.write_record({**run.record, "state": "training"})
    with _explained(run, model, micro), stopping_after_step(keeper):
        if progress.step < total and not keeper.waited_enough:
            trainer.fit(learner)
    if is_first():
        from composer.training.evaluating import conclude

        conclude(run, model, data, say, tell)


def _trainer(run: Run, recipe: Any, where: Where, keeper: Any, epochs: int) -> Any:
    import lightning.pytorch as pl

    from composer.training.quiet import quiet

    quiet()
    plain = "64-true" if recipe.dtype == "float64" else "32-true"
    precision = {"bfloat16": "bf16-mixed", "float16": "16-mixed", None: plain}[recipe.amp]
    options: dict[str, Any] = {"devices": where.devices} if where.devices is not None else {}
    if where.devices is None and where.strategy == "auto":
        options["devices"] = 1
    return pl.Trainer(
        accelerator=where.accelerator,
        num_nodes=where.nodes,
        strategy=where.strategy,
        precision=precision,  # type: ignore[arg-type]
        max_epochs=max(1, epochs),
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip,
        callbacks=[keeper],
        logger=_loggers(run, recipe),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        inference_mode=False,
        default_root_dir=run.folder,
        log_every_n_steps=1,
        **options,
    )


def _loggers(run: Run, recipe: Any) -> list[Any]:
    """Lightning's loggers that the recipe asks for. Raises UnavailableError for a package that is not installed."""
    from lightning.pytorch import loggers

    found: list[Any] = []
    try:
        for name in recipe.loggers:
            match name:
                case "tensorboard":
                    found.append(loggers.TensorBoardLogger(run.folder, name="", version="tensorboard"))
                case "wandb":
                    found.append(loggers.WandbLogger(name=run.folder.name, save_dir=run.folder))
                case "mlflow":
                    found.append(loggers.MLFlowLogger(run.folder.name, save_dir=str(run.folder / "mlruns")))
    except ModuleNotFoundError as error:
        text = f"the logger `{name}` needs a package that is not installed"
        raise UnavailableError(Diagnostic("extra", text, help=(f"pip install {name}",))) from error
    return found


@contextlib.contextmanager
def _explained(run: Run, model: ComposedModule, batch: int) -> Iterator[None]:
    """Memory that is full becomes advice."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        text = str(error)
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in text:
            raise
        from composer.amounts import size
        from composer.summary import summarise

        each = summarise(model.graph).cost.memory or 0
        help = (
            f"a batch of {batch} keeps about {size(each * batch)} for its gradients, {size(each)} for each image",
            ADVICE,
            f"the last checkpoint is kept: composer resume {run}",
        )
        raise InputError(Diagnostic("memory", "memory is full", help=help)) from error


def is_first() -> bool:
    """Whether this process is the first of those that train together."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0
