"""The network as PyTorch Lightning trains it. Every draw is a function of seed and step, so that a run can go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from composer.annealing import anneal
from composer.compile.module import ComposedModule
from composer.errors import Diagnostic, InputError
from composer.seeds import seed_of
from composer.spec.recipe import Recipe
from composer.training.checkpoint import Progress
from composer.training.data import Loader, mixed
from composer.training.schedule import share
from composer.training.tasks import Task, full

# The share of the losses of outputs that only training has, as GoogLeNet's paper has it (section 5).
OF_TRAINING_OUTPUTS = 0.3
# On a GPU, looking at a loss waits for it: it is looked at every so many steps.
LOOK_EVERY = 50


class Learner(pl.LightningModule):
    """What Lightning calls: a loss for a batch, an optimizer, numbers for validation.

    model      the network, as it is trained
    task       what it learns
    recipe     how
    loader     epoch, first batch, number of batches -> batches of training
    validation  -> batches of validation
    output     the name of the output that is trained
    optimizer  makes the optimizer of the model
    per_epoch, total  steps of an epoch, and of the whole training
    progress   how far it is; it is changed
    """

    def __init__(
        self,
        model: ComposedModule,
        task: Task,
        recipe: Recipe,
        *,
        loader: Callable[[int, int, int], Iterable[Any]],
        validation: Callable[[], Loader],
        output: str,
        optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        per_epoch: int,
        total: int,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.model = model
        self.task, self.recipe, self.output, self.progress = task, recipe, output, progress
        self.per_epoch, self.total = per_epoch, total
        self._loader, self._validation, self._optimizer = loader, validation, optimizer
        # Compiled code is another module with the same parameters, and no part of what is saved.
        self.call: list[Any] = []
        # A list keeps the averaged network out of what devices and strategies look at.
        self.averaged: list[AveragedModel] = []
        self.counter: Any = task.counter()
        # The losses of the steps since they were last added up: on a GPU, reading a number waits for it.
        self.losses: list[Tensor] = []

    @property
    def epoch(self) -> int:
        """The number of the epoch that the next step belongs to, from 0."""
        return self.progress.step // self.per_epoch

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and kept: the averaged one, if there is one."""
        return self.averaged[0].module if self.averaged else self.model

    # What Lightning asks for.

    def train_dataloader(self) -> Iterable[Any]:
        """The batches that are left of the epoch, or of the training."""
        done = self.progress.step % self.per_epoch
        left = min(self.per_epoch - done, self.total - self.progress.step)
        return self._loader(self.epoch, done * self.recipe.accumulate, left * self.recipe.accumulate)

    def val_dataloader(self) -> Loader:
        """The batches of validation."""
        return self._validation()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer, its groups by place."""
        return self._optimizer(self.model)

    @property
    def is_sharded(self) -> bool:
        """Whether processes share the parameters (FSDP)."""
        return self.device_mesh is not None

    def configure_model(self) -> None:
        """Share the parameters among processes, where the strategy asks for it."""
        if self.device_mesh is None:
            return
        from composer.training.sharding import shard

        mesh = self.device_mesh["data_parallel"]
        # Lightning has no float64 for this strategy.
        self.model.to(getattr(torch, self.recipe.dtype))
        # A sharded network cannot be copied.
        self._average()
        for one in (self.model, *(averaged.module for averaged in self.averaged)):
            shard(one, self.model, mesh)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Images and targets in the type of the weights, where Lightning does not see to it."""
        if not self.is_sharded:
            return batch
        return [one.to(getattr(torch, self.recipe.dtype)) if one.is_floating_point() else one for one in batch]

    def on_fit_start(self) -> None:
        """The averaged network starts as the network."""
        if self.is_sharded:
            for averaged in self.averaged:
                averaged.to(self.device)
        else:
            self._average()
        self.call = [torch.compile(self.model) if self.recipe.compile else self.model]

    def _average(self) -> None:
        if self.recipe.ema is not None:
            average = get_ema_multi_avg_fn(self.recipe.ema)
            self.averaged = [AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)]

    def on_train_epoch_start(self) -> None:
        """Modules that change over the epochs are set."""
        anneal(self.model, epoch=self.epoch)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of a part of a step."""
        micro = batch_idx % self.recipe.accumulate
        seed = seed_of(self.recipe.seed, f"step {self.progress.step} {micro} {self.global_rank}")
        torch.manual_seed(seed)
        images, targets = batch
        if self.recipe.augment.mixes:
            options = {"classes": self.task.outputs, "seed": seed, "step": self.progress.step}
            images, targets = mixed(images, targets, self.recipe.augment, **options)
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        found = self.call[0](images)
        loss = self._loss(found, targets)
        if (images.device.type == "cpu" or self.progress.step % LOOK_EVERY == 0) and not loss.isfinite():
            raise self._not_finite(images)
        self.losses.append(loss.detach())
        return loss

    def _loss(self, found: Tensor | Mapping[str, Tensor], targets: Tensor) -> Tensor:
        if isinstance(found, Tensor):
            return self.task.loss(full(found), targets, self.recipe)
        own = full(found[self.output])
        loss = self.task.loss(own, targets, self.recipe)
        for name, value in found.items():
            if name != self.output and value.shape[:2] == own.shape[:2]:
                loss = loss + OF_TRAINING_OUTPUTS * self.task.loss(full(value), targets, self.recipe)
        return loss

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        """A step at the learning rate of its number."""
        for group in optimizer.param_groups:
            schedule = self.recipe.schedule
            if "warmup" in group:
                schedule = schedule.model_copy(update={"warmup": group["warmup"]})
            rate = share(schedule, self.progress.step, total=self.total, epoch=self.per_epoch)
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * rate
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.progress.step += 1
        if self.averaged:
            self.averaged[0].update_parameters(self.model)
        if len(self.losses) >= LOOK_EVERY:
            self.add_up()

    def add_up(self) -> None:
        """Add the losses of the last steps to those of the epoch."""
        if self.losses:
            losses = torch.stack(self.losses).double()
            self.progress.sums = [self.progress.sums[0] + float(losses.sum()), self.progress.sums[1] + len(losses)]
            self.losses.clear()

    def on_validation_epoch_start(self) -> None:
        """Counting starts anew."""
        self.counter.reset()
        self._sums = [0.0, 0]
        self.kept.eval()
        if self.trainer.world_size > 1:
            # Batch norms count on each process, and what is kept is the first's.
            for one in self.kept.buffers():
                torch.distributed.broadcast(one, 0)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """A batch is counted."""
        images, targets = batch
        found = self.kept(images)
        output = full(found if isinstance(found, Tensor) else found[self.output])
        self.task.count(self.counter, output, targets)
        self._sums[0] += float(self.task.loss(output, targets, self.recipe, training=False)) * len(images)
        self._sums[1] += len(images)

    def validated(self) -> tuple[float, float, float]:
        """The mean loss of the epoch's training, and the mean loss and the metric of its validation, over all ranks."""
        self.add_up()
        sums = torch.tensor([*self.progress.sums, *self._sums], dtype=torch.float64, device=self.device)
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(sums)
        trained, steps, loss, images = sums.tolist()
        return trained / steps if steps else math.nan, loss / images, self.task.value(self.counter)

    def _not_finite(self, images: Tensor) -> InputError:
        """The loss is not a number: which module is the first whose output is not?"""
        first: list[str] = []

        def look(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(module: nn.Module, given: Any, found: Any) -> None:
                if not first and isinstance(found, Tensor) and not found.isfinite().all():
                    first.append(name)

            return hook

        # A network that processes share runs only where all of them call it.
        if not self.is_sharded:
            handles = [one.register_forward_hook(look(name)) for name, one in self.model.named_modules() if name]
            with torch.no_grad():
                self.model(images)
            for handle in handles:
                handle.remove()
        step = self.progress.step + 1
        text = f"the loss is not finite at step {step}, in epoch {self.epoch + 1}"
        where = f"the first output that is not finite is that of `{first[0]}`" if first else "all outputs are finite"
        if self.is_sharded:
            where = "which module it is, a run with `--strategy ddp` says"
        elif bad := [name for name, one in self.model.named_parameters() if not one.isfinite().all()]:
            where = f"weights are not finite, first `{bad[0]}`"
        help = (where, "a lower `optimizer.lr`, a longer `schedule.warmup`, `clip: 1.0`, or no `amp: float16`")
        return InputError(Diagnostic("not-finite", text, help=help))


@dataclass(frozen=True)
class Part:
    """The first batches of a loader: Lightning asks for their number before it takes them.

    loader  batches
    count   how many are taken
    """

    loader: Loader
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.loader), self.count)


def steps_of(recipe: Recipe, images: int) -> tuple[int, int]:
    """Steps of an epoch, and of the whole training.

    recipe  its batch and length
    images  of training
    Raises InputError for fewer images than a batch.
    """
    per_epoch = images // recipe.batch
    if not per_epoch:
        text = f"there are {images} training images, fewer than a batch of {recipe.batch}"
        raise InputError(Diagnostic("batch", text, help=(f"--set train.batch={2 ** int(math.log2(max(1, images)))}",)))
    total = recipe.steps if recipe.steps is not None else (recipe.epochs or 0) * per_epoch
    return per_epoch, total
