"""A run is a folder: the network's spec, the recipe, what happened, and weights. Nothing in it is half-written."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from composer.errors import Diagnostic, InputError
from composer.files import write_text
from composer.paths import PATH_ERRORS, reason
from composer.spec.dump import dump
from composer.spec.training import Training, settle_training
from composer.training.record import CheckpointRecord, Record, checked
from composer.weights.run_folder import CHECKPOINTS, LAST, best_of

NETWORK, RECIPE, RECORD, HISTORY = "network.yaml", "recipe.yaml", "run.json", "history.csv"
LOCK = ".lock"
# So long, in seconds, processes wait for the first.
WAIT = 600.0
IMAGES = "test.csv"


@dataclass(frozen=True)
class Run:
    """The folder of a training.

    folder  where it is
    """

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def record(self) -> dict[str, Any]:
        """What was trained, on what, where, and what came out. Raises InputError if the folder is no run."""
        return _json(self.folder / RECORD, Record, f"`{self.folder}` is no run")

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint: its step, its files, and progress; None before the first."""
        path = self.folder / CHECKPOINTS / LAST
        return _json(path, CheckpointRecord, f"the run `{self.folder}` is damaged") if path.exists() else None

    @property
    def network(self) -> Path:
        """The file of its spec."""
        return self.folder / NETWORK

    @property
    def training(self) -> Training:
        """Its recipe."""
        return settle_training((), self.folder / RECIPE)

    @property
    def weights(self) -> Path:
        """The file of its best weights, by validation. Raises WeightsError before the end of the first epoch."""
        found = best_of(self.folder)
        if found is None:
            text = f"the run `{self.folder}` has no checkpoint"
            raise InputError(Diagnostic("run", text, label="a folder that `composer train` wrote"))
        return found

    @property
    def history(self) -> list[dict[str, Any]]:
        """A row for each epoch, as history.csv has them."""
        found = self.checkpoint
        return [] if found is None else list(found["progress"]["rows"])

    @classmethod
    def begun(
        cls, folder: Path, network: Mapping[str, Any], recipe: Mapping[str, Any], record: Mapping[str, Any]
    ) -> Run:
        """A new run in a folder that holds none. Raises InputError."""
        cls.check_new(folder)
        run = cls(folder)
        with _said(folder):
            (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        write_text(run.network, dump(network), force=True)
        write_text(folder / RECIPE, dump(recipe) if recipe else "{}\n", force=True)
        run.write_record(record)
        return run

    @staticmethod
    def check_new(folder: Path) -> None:
        """Raises InputError if the folder cannot hold a new run, for use before slow work."""
        with _said(folder):
            if (folder / RECORD).exists():
                help = (f"go on with it: composer resume {folder}", "or choose another folder: -o FOLDER")
                raise InputError(Diagnostic("run-exists", f"there is a run in `{folder}`", help=help))
            if folder.exists() and not folder.is_dir():
                raise InputError(Diagnostic("output", f"`{folder}` is a file", label="a folder"))
            if folder.is_dir() and any(one for one in folder.iterdir() if one.name != LOCK):
                text = f"the folder `{folder}` is not empty"
                raise InputError(Diagnostic("run-exists", text, label="an empty or a new folder"))

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write run.json, whole or not at all. Raises InputError."""
        write_text(self.folder / RECORD, f"{json.dumps(record, indent=1, ensure_ascii=False)}\n", force=True)

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write history.csv anew. Raises InputError."""
        self.write_table(HISTORY, rows)

    def write_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a table as CSV, whole or not at all. Raises InputError."""
        text = io.StringIO(newline="")
        heads = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(text, heads, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.folder / name, text.getvalue(), force=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While this lasts, no other process trains in the folder. Raises InputError if one does."""
        with _said(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            stream = (self.folder / LOCK).open("w")
        with stream:
            if not _locked(stream):
                text = f"another process trains in `{self.folder}`"
                raise InputError(Diagnostic("run-busy", text, help=("wait for it, or choose another folder",)))
            yield

    @contextlib.contextmanager
    def begun_by_first(self) -> Iterator[None]:
        """Waits until the first of the processes that train together has begun the run. Raises InputError."""
        until = time.monotonic() + WAIT
        while not (self.folder / CHECKPOINTS / LAST).exists():
            if time.monotonic() > until:
                text = f"no run was begun in `{self.folder}`"
                raise InputError(Diagnostic("run", text, label="one folder, which all machines see"))
            time.sleep(0.1)
        yield


def _locked(stream: io.TextIOWrapper) -> bool:
    """Whether this process now holds the file; the system lets go when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        # Windows: nothing keeps two processes apart there.
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _said(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(Diagnostic("output", f"cannot use the folder `{folder}`: {reason(error)}")) from error


def _json(path: Path, model: type[BaseModel], otherwise: str) -> dict[str, Any]:
    """What a file of a run holds. Raises InputError if it cannot be read, or was changed."""
    label = "a folder that `composer train` wrote"
    try:
        return checked(json.loads(path.read_text(encoding="utf-8")), model)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        text = f"the run `{path.parent}` is damaged: `{path.name}` has no sound `{where}`"
        raise InputError(Diagnostic("run", text, label=label)) from error
    except (*PATH_ERRORS, ValueError, RecursionError) as error:
        raise InputError(Diagnostic("run", f"{otherwise}: cannot read `{path.name}`", label=label)) from error


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a path is the folder of a run."""
    return os.path.isfile(os.path.join(path, RECORD)) and os.path.isfile(os.path.join(path, NETWORK))
