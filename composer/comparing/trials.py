"""Trials: a network trained on one seed, as a folder remembers it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from composer.errors import ComposerError, Diagnostic, InputError, UnavailableError
from composer.files import write_text
from composer.foreign import is_error, named
from composer.paths import reason

RECORD = "trial.json"


@dataclass(frozen=True)
class Trial:
    """What became of a network that was trained on one seed.

    status      `done` or `failed`
    scores      `n`: of each image of the test split, in its order, 1 where it was right and 0 where not, or a score
    images      the names of these images, which pairs must share
    validation  the value of each epoch by which the best one was chosen
    best_epoch  its number, from 1; None where none was chosen
    cost        what the training took, by name, such as seconds
    error       why it failed, in a sentence
    attempts    how often it was tried
    """

    status: Literal["done", "failed"]
    scores: Sequence[float] = ()
    images: Sequence[str] = ()
    validation: Sequence[float] = ()
    best_epoch: int | None = None
    cost: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    attempts: int = 1

    def __post_init__(self) -> None:
        if self.status == "done" and (not self.scores or len(self.scores) != len(self.images)):
            raise ValueError(f"a trial has {len(self.scores)} scores of {len(self.images)} images")

    @property
    def score(self) -> float:
        """The mean over the images."""
        return sum(self.scores) / len(self.scores)

    @property
    def fingerprint(self) -> str:
        """Equal for trials that were tested on the same images."""
        return hashlib.sha256("\n".join(self.images).encode("utf-8", "surrogatepass")).hexdigest()


# The file of a network's spec, a seed, and a folder of the trial's own, which may hold what an interrupted one left.
RunTrial = Callable[[Path, int, Path], Trial]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """A trial that is to be run.

    name    for people
    spec    the file of its network's spec
    seed    of its training
    folder  of its own; it exists
    before  how often it was tried before
    """

    name: str
    spec: Path
    seed: int
    folder: Path
    before: int = 0


# Runs all jobs, and calls what it is given with each whose folder then has a record; the last is told how far it is.
RunJobs = Callable[[RunTrial, Sequence[Job], Callable[[Job], None], Tell], None]


def in_turn(run: RunTrial, jobs: Sequence[Job], done: Callable[[Job], None], tell: Tell) -> None:
    """Run jobs in this process, one after another. Errors are those of `tried`."""
    for number, job in enumerate(jobs, 1):
        tell(f"{number} of {len(jobs)}: {job.name}")
        tried(run, job)
        done(job)


def tried(run: RunTrial, job: Job) -> Trial:
    """The trial that a learner makes, also written into its folder; one that raises an error has failed.

    Raises InputError if the folder cannot be written, UnavailableError if a package or device is missing; what is no
    error, such as an interruption, passes.
    """
    try:
        found = run(job.spec, job.seed, job.folder)
    except UnavailableError:
        # Every trial would fail: it is the machine that lacks something.
        raise
    except ComposerError as error:
        found = Trial("failed", error=error.diagnostics[0].message)
    except Exception as error:
        if not is_error(error):
            raise
        found = Trial("failed", error=named(error))
    return record(found, job)


def record(trial: Trial, job: Job) -> Trial:
    """Write what became of a job into its folder; returns it with the number of attempts. Raises InputError."""
    found = replace(trial, attempts=job.before + 1)
    write_text(job.folder / RECORD, json.dumps(asdict(found), ensure_ascii=True), force=True)
    return found


def read_trial(folder: Path) -> Trial | None:
    """The trial that a folder remembers; None if none was finished there. Raises InputError if it is damaged."""
    path = folder / RECORD
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _damaged(path, reason(error)) from error
    try:
        found: dict[str, Any] = json.loads(text)
        return Trial(**found)
    except (TypeError, ValueError) as error:
        raise _damaged(path, "it is no record of a trial") from error


def _damaged(path: Path, why: str) -> InputError:
    help = (f"remove the folder `{path.parent}`: its trial is then run again",)
    return InputError(Diagnostic("trial", f"cannot read `{path}`: {why}", help=help))
