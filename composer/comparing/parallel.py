"""Runs trials several at once, by Ray Tune without a scheduler: nothing is pruned, and their folders are the truth."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from composer.comparing.cluster import Workers, connected, require
from composer.comparing.plugins import load_all
from composer.comparing.trials import Job, RunJobs, RunTrial, Tell, Trial, record, tried
from composer.errors import ComposerError, InputError, UnavailableError
from composer.training.keeping import Stop, stopping_after_step

# What Tune writes lies in the folder of the comparison, which all machines see, until the trials are run.
_TUNE = ".tune"
# A line of progress is written at most so often, in seconds.
_TELL_EVERY = 1.0
# What Ray says of a process that is gone.
_ENDED = re.compile(r"Actor(Died|Unavailable)|actor (is dead|died|is unavailable)|worker (process )?(has )?died", re.I)
# So many trials are named in it.
_NAMED = 2


@dataclass(frozen=True)
class Work:
    """What a process needs to run trials as this one would.

    run       makes a trial
    jobs      the trials
    place     the folder in which paths begin
    plugins   files and modules that register mechanisms
    """

    run: RunTrial
    jobs: tuple[Job, ...]
    place: str
    plugins: tuple[str, ...]


def at_once(
    workers: Workers,
    folder: Path,
    *,
    threads: int,
    plugins: Sequence[str] = (),
    say: Tell = print,
    at: Callable[[Job], str] = lambda job: "",
) -> RunJobs:
    """What runs jobs several at once.

    workers  where, and how many
    folder   of all trials
    threads  of each
    plugins  that their processes load
    say      told of processes that ended
    at       how far a job is, in words
    A job whose process ends is run again once, and goes on from its checkpoint; if that ends too, it has failed.
    Errors are those of `in_turn` and of `connected`.
    """

    def run_all(run: RunTrial, jobs: Sequence[Job], done: Callable[[Job], None], tell: Tell) -> None:
        require()
        tell("starting Ray")
        here = tuple(replace(job, spec=job.spec.absolute(), folder=job.folder.absolute()) for job in jobs)
        work = Work(run, here, os.getcwd(), tuple(plugins))
        with connected(workers, folder.absolute()):
            watch = _watch_of(list(jobs), done, _aloud(say), _aloud(tell), at)
            _tuned(work, workers, folder.absolute() / _TUNE, threads, watch)

    return run_all


def _tuned(work: Work, workers: Workers, store: Path, threads: int, watch: Any) -> None:
    from ray import tune

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    shutil.rmtree(store, ignore_errors=True)
    trainable = tune.with_resources(tune.with_parameters(_trial, work=work), workers.resources(threads))
    tuner = tune.Tuner(
        trainable,
        param_space={"number": tune.grid_search(list(range(len(work.jobs))))},
        # A process that has run a trial runs the next one: it takes seconds to start one.
        tune_config=tune.TuneConfig(max_concurrent_trials=workers.number, reuse_actors=True),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(store),
            verbose=0,
            callbacks=[watch],
            failure_config=tune.FailureConfig(max_failures=1),
        ),
    )
    try:
        # Tune prints even when it is told not to.
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            stopping_after_step(watch, "ending the processes"),
        ):
            tuner.fit()
    except Exception as error:
        if watch.error is None:
            raise
        raise watch.error from error
    finally:
        shutil.rmtree(store, ignore_errors=True)
    if watch.error is not None:
        raise watch.error


def _trial(config: dict[str, Any], work: Work) -> dict[str, Any]:
    """A trial, in a process of its own; errors that end the whole command are its result."""
    with contextlib.suppress(OSError):
        os.chdir(work.place)
    try:
        load_all(work.plugins)
        tried(work.run, work.jobs[config["number"]])
    except ComposerError as error:
        kind = UnavailableError if isinstance(error, UnavailableError) else InputError
        return {"problems": error.diagnostics, "kind": kind.__name__}
    return {"problems": ()}


def _watch_of(jobs: Sequence[Job], done: Callable[[Job], None], say: Tell, tell: Tell, at: Callable[[Job], str]) -> Any:
    """What Tune calls: records of what failed, and how far it is. Its class needs Ray, and so is made here."""
    from ray import tune

    class Watch(tune.Callback):
        def __init__(self) -> None:
            self.error: ComposerError | None = None
            self.asked: int | None = None
            self.tell = tell
            self.running: dict[str, Job] = {}
            self.done = 0
            self.told = 0.0

        def __reduce__(self) -> tuple[Any, ...]:
            # Tune writes its callbacks into a file, for a resumption that is not used here.
            return tune.Callback, ()

        def __deepcopy__(self, memo: Any) -> Any:
            return self

        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self.running[trial.trial_id] = self._job(trial)

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            problems = trial.last_result.get("problems")
            if problems:
                kind = UnavailableError if trial.last_result["kind"] == UnavailableError.__name__ else InputError
                self._end(kind(problems))
            self._finish(trial)

        def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            say(f"the process of {self._job(trial).name}, ended; it is run again, from its checkpoint")

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            try:
                record(Trial("failed", error=_words(trial.get_error())), self._job(trial))
            except ComposerError as error:
                self._end(error)
            self._finish(trial)

        def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
            if self.asked is not None:
                # No error, for which Tune would wait until trials end.
                raise Stop(self.asked)
            now = time.monotonic()
            if now - self.told < _TELL_EVERY:
                return
            self.told = now
            words = [f"{job.name}{at(job)}" for job in [*self.running.values()][:_NAMED]]
            more = len(self.running) - _NAMED
            words += [f"{more} more"] if more > 0 else []
            tell("; ".join([f"{self.done} of {len(jobs)} done", *words]))

        def _job(self, trial: Any) -> Job:
            return jobs[trial.config["number"]]

        def _finish(self, trial: Any) -> None:
            self.running.pop(trial.trial_id, None)
            self.done += 1
            try:
                done(self._job(trial))
            except ComposerError as error:
                self._end(error)

        def _end(self, error: ComposerError) -> None:
            # Tune makes an error of its own of what is raised here.
            self.error = error
            raise error

    return Watch()


def _aloud(tell: Tell) -> Tell:
    """The same, on the stdout of now."""
    stdout = sys.stdout

    def aloud(text: str) -> None:
        with contextlib.redirect_stdout(stdout):
            tell(text)

    return aloud


def _words(trace: str | None) -> str:
    """Why a trial failed in Ray, in a sentence: from the trace that Tune keeps."""
    lines = [line.strip() for line in (trace or "").splitlines() if line.strip()]
    if not lines or _ENDED.search(trace or ""):
        return "its process ended twice: it was killed, or memory ran out"
    return lines[-1]
