"""Checkpoints: weights as safetensors, the rest beside them; a small file, written last, says which belong together."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from composer.errors import Diagnostic, InputError
from composer.files import staged
from composer.paths import reason
from composer.training.run import Run
from composer.weights.run_folder import CHECKPOINTS, LAST
from composer.weights.save import save_tensors


def _stem(step: int) -> str:
    return f"step-{step:07d}"


# The first weights stay: what was learnt is the difference to them.
FIRST = f"{_stem(0)}.safetensors"


@dataclass
class Progress:
    """How far a training is: all that the next step depends on, besides weights and the optimizer's state.

    step      steps of the optimizer that were taken
    rows      a row of history for each epoch that was finished
    sums      of the epoch that was begun: the sum of losses, and the number of steps
    best      the best row so far: its epoch, step, value, and the file of its weights
    waited    epochs since the best
    seconds   time that was spent in training
    """

    step: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])
    best: dict[str, Any] | None = None
    waited: int = 0
    seconds: float = 0.0


def save(
    run: Run,
    progress: Progress,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Any],
    best: Mapping[str, Tensor] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a checkpoint. A process that is killed meanwhile leaves the one before as it was.

    run       the folder
    progress  how far the training is
    weights   of the network
    state     of the optimizer and what else there is, of plain values and tensors
    best      weights to keep, if this epoch is the best so far; `progress.best` then gets their file
    metadata  of files of weights
    Raises InputError if the disk is full; the last checkpoint is still there.
    """
    folder = run.folder / CHECKPOINTS
    # Files of the last checkpoint stay as they are until this one is whole, also where both are of one step.
    stem = _stem(progress.step)
    stem = f"{stem}-again" if f"{stem}.pt" in _named(run) else stem
    names = [f"{stem}.safetensors", f"{stem}.pt", LAST]
    if best is not None and progress.best is not None:
        progress.best["file"] = f"best-{progress.step:07d}.safetensors"
        names.insert(0, progress.best["file"])
    try:
        with staged([folder / name for name in names], force=True) as (*best_file, weights_file, state_file, last_file):
            for path in best_file:
                save_tensors(best or {}, path, metadata)
            save_tensors(weights, weights_file, metadata)
            _save_state(state, state_file)
            written = {"weights": names[-3], "state": names[-2], "progress": asdict(progress)}
            last_file.write_text(json.dumps(written), encoding="utf-8")
    except InputError as error:
        kept = run.checkpoint
        if kept is None:
            raise
        help = (f"the checkpoint of step {kept['progress']['step']} is kept: composer resume {run}",)
        raise error.changed(lambda problem: replace(problem, help=(*problem.help, *help))) from error
    _sweep(run)


def _save_state(state: Mapping[str, Any], path: Path) -> None:
    try:
        torch.save(dict(state), path)
    except RuntimeError as error:
        # torch reports a full disk as a RuntimeError of its writer.
        raise OSError(reason(error)) from error


def _named(run: Run) -> set[str]:
    """The names of files that the last checkpoint needs."""
    found = run.checkpoint
    if found is None:
        return set()
    best = found["progress"]["best"]
    return {found["weights"], found["state"], *([best["file"]] if best else [])}


def _sweep(run: Run) -> None:
    """Remove files of earlier checkpoints, and those that killed processes left."""
    kept = {*_named(run), LAST, FIRST}
    for path in (run.folder / CHECKPOINTS).iterdir():
        if path.name not in kept and path.suffix in (".pt", ".safetensors"):
            path.unlink(missing_ok=True)


def load(run: Run) -> tuple[Progress, dict[str, Tensor], dict[str, Any]] | None:
    """The last checkpoint: progress, weights, and the rest; None before the first. Raises InputError for a bad one."""
    found = run.checkpoint
    if found is None:
        return None
    folder = run.folder / CHECKPOINTS
    weights = read_weights(folder / found["weights"])
    with _readable(folder / found["state"]):
        state = torch.load(folder / found["state"], weights_only=True, map_location="cpu")
    return Progress(**found["progress"]), weights, state


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's file. Raises InputError if it cannot be read."""
    with _readable(path):
        return load_file(path)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # A file that another program damaged can make a reader fail in any way.
        raise InputError(Diagnostic("checkpoint", f"cannot read the checkpoint `{path}`: {reason(error)}")) from error
