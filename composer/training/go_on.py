"""Trains from a run's last checkpoint to its end, by Lightning, and tests it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from composer.compile.freezing import norms
from composer.compile.module import ComposedModule
from composer.errors import Diagnostic, InputError
from composer.training import checkpoint
from composer.training.network import opened, output_of
from composer.training.optimizers import optimizer_maker
from composer.training.places import frozen_by, groups, kept_norms
from composer.training.room import ADVICE, check_room
from composer.training.run import Run
from composer.training.tasks import Task
from composer.training.trainer import HERE, Where, is_first, trainer_for
from composer.weights.save import metadata_of

if TYPE_CHECKING:
    from composer.training.data import Data, Split

Tell = Callable[[str], None]
Enough = Callable[[Sequence[Mapping[str, Any]]], bool]


def go_on(
    run: Run,
    data: Data,
    *,
    where: Where = HERE,
    enough: Enough = lambda rows: False,
    say: Tell = print,
    tell: Tell = lambda text: None,
    allow_code: bool = False,
) -> Run:
    """Train from a run's last checkpoint to its end, then test it, once.

    run    the folder
    data   the data that it was begun with
    where  the devices
    enough  the rows of history, after each epoch -> whether that was enough, before the end of the recipe
    say    is told sentences for the user
    tell   is told how far it is
    allow_code  let a backbone `package.module:factory` run its code
    Raises InputError if the data is another, the loss is not finite, or memory or disk are full; the last checkpoint
    stays.
    """
    with run.alone() if is_first() else run.begun_by_first():
        record = run.record
        _check_data(run, record, data)
        if record["state"] == "done":
            say(f"{run} is trained to its end")
            return run
        _trained(run, data, where, enough, say, tell, allow_code=allow_code)
        return run


def _check_data(run: Run, record: Mapping[str, Any], data: Data) -> None:
    """Raises InputError if the data is not what the run was begun with."""
    begun = record["data"]
    if begun["fingerprint"] == data.fingerprint and record["classes"] == list(data.classes):
        return
    found = {"training": len(data.train), "validation": len(data.validation), "test": len(data.test)}
    differing = [f"{name}: {begun[name]} images, now {now}" for name, now in found.items() if begun[name] != now]
    text = f"`{data.name}` is not the data that `{run}` was begun with"
    help = tuple(differing) or ("names, classes, sizes, targets or the split are others",)
    raise InputError(Diagnostic("run-data", text, help=help))


def _trained(run: Run, data: Data, where: Where, enough: Enough, say: Tell, tell: Tell, *, allow_code: bool) -> None:
    from composer.training.data import Loader, evaluation_transform, training_transform
    from composer.training.keeping import Keeper, stopping_after_step
    from composer.training.learner import Learner, Part, steps_of

    training = run.training
    recipe = training.recipe
    model = opened(run, allow_code=allow_code)
    kept = checkpoint.load(run)
    assert kept is not None, "a run begins with a checkpoint"
    progress, weights, state = kept
    model.load_state_dict(weights)
    frozen = frozen_by(model, recipe.groups)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    every = frozenset(path for path, _ in norms(model))
    model.frozen_norms = every if recipe.freeze_norms else kept_norms(model, frozen)
    # Lightning leaves the mode of every module as it finds it.
    model.train()
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
        at = [(one.at, one.changes) for one in recipe.groups]
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
    )
    keeper = Keeper(run, learner, state, metadata_of(model), tell, enough)
    trainer = trainer_for(run, recipe, where, keeper, epochs=-(-(total - progress.step) // per_epoch))
    check_room(model.graph, recipe, micro // trainer.world_size, trainer.strategy.root_device)
    if trainer.world_size > 1 and every - model.frozen_norms:
        say(f"batch norms use the {micro // trainer.world_size} images of their own process; `freeze_norms` keeps them")
    if is_first():
        run.write_record({**run.record, "state": "training"})
    with _explained(run, model, micro), stopping_after_step(keeper) as keeper.listen:
        if progress.step < total and not keeper.has_enough:
            trainer.fit(learner)
    if is_first():
        from composer.training.evaluating import conclude

        # A share of a network cannot be tested by one process.
        conclude(run, opened(run, allow_code=allow_code) if learner.is_sharded else model, data, say, tell)


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
