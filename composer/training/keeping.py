"""What Lightning calls between steps: checkpoints, history, the best epoch, early stopping, and stopping when asked."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from torch import Tensor

from composer.amounts import plural
from composer.foreign import Interrupt
from composer.training import checkpoint
from composer.training.learner import LOOK_EVERY, Learner
from composer.training.page import write_page
from composer.training.run import Run
from composer.training.sharding import load_optimizer, load_weights, whole

# A line of progress is written at most so often, in seconds.
TELL_EVERY = 0.2
# The page of a run is drawn at most so often, in seconds.
DRAW_EVERY = 30.0


class Stop(Interrupt):
    """The user asked the training to stop, and a checkpoint was written. `except Exception` does not catch it."""


class Keeper(pl.Callback):
    """Writes checkpoints and history, and stops early.

    run       the folder
    learner   what is trained
    state     of the last checkpoint, besides weights
    metadata  of files of weights
    tell      is told how far it is
    enough    the rows of history -> whether they were enough, whatever the recipe says
    """

    def __init__(
        self,
        run: Run,
        learner: Learner,
        state: Mapping[str, Any],
        metadata: Mapping[str, str],
        tell: Callable[[str], None],
        enough: Callable[[Sequence[Mapping[str, Any]]], bool] = lambda rows: False,
    ) -> None:
        self.enough = enough
        self.run, self.learner, self.state, self.metadata, self.tell = run, learner, state, metadata, tell
        self.asked: int | None = None
        self.listen: Callable[[], None] = lambda: None
        self._told, self._drawn = 0.0, -DRAW_EVERY
        self._since = time.perf_counter()

    @property
    def has_enough(self) -> bool:
        """Whether the training ends here: so many epochs were no better, or somebody says so."""
        patience, progress = self.learner.recipe.patience, self.learner.progress
        waited = patience is not None and progress.waited >= patience
        return waited or (bool(progress.rows) and self.enough(progress.rows))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What the last checkpoint kept besides weights is put back."""
        # Lightning's handler of SIGTERM waits for the other processes, which may be waiting for this one.
        self.listen()
        self._since = time.perf_counter()
        if not self.state:
            return
        optimizer = trainer.optimizers[0]
        load_optimizer(optimizer, self.state["optimizer"])
        if "averaged" in self.state and self.learner.averaged:
            load_weights(self.learner.averaged[0], self.state["averaged"])
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and "scaler" in self.state:
            scaler.load_state_dict(self.state["scaler"])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After a whole step: progress, a checkpoint if it is due, and the end if it was asked for."""
        if (batch_idx + 1) % self.learner.recipe.accumulate:
            return
        step, total = self.learner.progress.step, self.learner.total
        now = time.perf_counter()
        if now - self._told > TELL_EVERY:
            self._told = now
            epochs = -(-total // self.learner.per_epoch)
            last = self.learner.progress.rows[-1:]
            best = f", {self.learner.task.metric} {last[0]['metric']:.4g}" if last else ""
            epoch = (step - 1) // self.learner.per_epoch + 1
            self.tell(f"epoch {epoch} of {epochs}, step {step} of {total}{best}")
        self._log(trainer)
        every, asked = self.learner.recipe.save_every, self._agreed(trainer)
        if step % self.learner.per_epoch and (asked is not None or (every and not step % every)):
            self.save(trainer)
        if asked is not None and step % self.learner.per_epoch and step < total:
            raise Stop(asked)

    def _log(self, trainer: pl.Trainer) -> None:
        if trainer.loggers and self.learner.losses:
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            self._metrics(trainer, {"loss": float(self.learner.losses[-1]), "lr": rate})

    def _metrics(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(values, step=self.learner.progress.step)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A row of history, and the best epoch by validation."""
        learner, progress = self.learner, self.learner.progress
        trained, loss, metric = learner.validated()
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        progress.seconds += seconds
        row = {
            "epoch": len(progress.rows) + 1,
            "step": progress.step,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "training_loss": trained,
            "validation_loss": loss,
            "metric": metric,
            "seconds": round(seconds, 3),
        }
        progress.rows.append(row)
        progress.sums = [0.0, 0.0]
        than = None if progress.best is None else progress.best["metric"]
        # Averaged or not, an epoch whose number is none is no best; the first epoch is, if nothing else.
        better = learner.task.is_better(metric, than) or progress.best is None
        if better:
            progress.best = {key: row[key] for key in ("epoch", "step", "metric", "validation_loss")}
        progress.waited = 0 if better else progress.waited + 1
        self._metrics(trainer, {"validation_loss": loss, learner.task.metric: metric})
        self.save(trainer, best=better)
        if trainer.is_global_zero:
            self.run.write_history(progress.rows)
            self._write_page()
        if self.has_enough:
            trainer.should_stop = True
        asked = self._agreed(trainer)
        if asked is not None and progress.step < learner.total:
            raise Stop(asked)

    def _agreed(self, trainer: pl.Trainer) -> int | None:
        """The signal that ends the training. Processes that train together must stop at the same step."""
        device = self.learner.device
        if trainer.world_size == 1:
            return self.asked
        if device.type != "cpu" and self.learner.progress.step % min(LOOK_EVERY, self.learner.per_epoch):
            return None
        number = torch.tensor(self.asked or 0, device=device)
        torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX)
        return int(number) or None

    def _write_page(self) -> None:
        """Drawing takes longer than a short epoch, so that not every epoch gets a new page."""
        now = time.perf_counter()
        if now - self._drawn > DRAW_EVERY:
            write_page(self.run)
            self._drawn = time.perf_counter()

    def save(self, trainer: pl.Trainer, *, best: bool = False) -> None:
        """Write a checkpoint; with `best`, also the weights that are kept as the best."""
        learner = self.learner
        learner.add_up()
        # Where processes share parameters, all of them take part in putting tensors together.
        state: dict[str, Any] = {"optimizer": whole(trainer.optimizers[0].state_dict())}
        if learner.averaged:
            state["averaged"] = whole(learner.averaged[0].state_dict())
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            state["scaler"] = scaler.state_dict()
        tensors = _tensors(learner.model)
        kept = _tensors(learner.kept) if best else None
        if trainer.is_global_zero:
            checkpoint.save(self.run, learner.progress, tensors, state, kept, self.metadata)


def _tensors(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: whole(one).detach().cpu().contiguous() for name, one in model.state_dict().items()}


class Asked(Protocol):
    """What is asked to stop: it keeps the number of the signal, and stops when it can."""

    asked: int | None
    tell: Callable[[str], None]


@contextlib.contextmanager
def stopping_after_step(keeper: Asked, words: str = "finishing the step") -> Iterator[Callable[[], None]]:
    """In this context, the first signal that ends a process waits for the step to end; the second does not.

    Yields what takes signals back from a library that has meanwhile taken them.
    """
    before: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        keeper.asked = number
        keeper.tell(words)
        signal.signal(number, before[number])

    def listen() -> None:
        for number in before:
            signal.signal(number, ask)

    for name in ("SIGINT", "SIGTERM"):
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            # Outside the main thread, `signal` raises ValueError.
            with contextlib.suppress(ValueError):
                before[number] = signal.signal(number, ask)
    try:
        yield listen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def words(run: Run) -> str:
    """What to say of a training that stopped: how far it is, and how to go on."""
    found = run.checkpoint
    step = found["progress"]["step"] if found else 0
    return f"stopped after {plural(step, 'step')}; go on: composer resume {run}"
