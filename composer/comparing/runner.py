"""Runs the trials of a plan, and goes on where an earlier run of the same plan stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from composer.amounts import plural
from composer.comparing.declared import changes, declaration_text, read_declaration
from composer.comparing.plan import Plan
from composer.comparing.trials import Job, RunJobs, RunTrial, Tell, Trial, in_turn, read_trial
from composer.comparing.write import SPECS, spec_names, spec_texts, write_texts
from composer.errors import Diagnostic, InputError

DECLARATION, TRIALS = "declaration.json", "trials"
Trials = Mapping[tuple[str, str, int], Trial]


def declaration(plan: Plan, data: Mapping[str, Any], threads: int = 1) -> dict[str, Any]:
    """Everything that must not change between the first run and the last: networks, comparisons, seeds, recipe, data,
    threads of a trial.

    data  what tells the data from other data
    """
    texts, names = spec_texts(plan), spec_names(plan)
    running = {names[row.arm.key]: texts[names[row.arm.key]] for row in plan.running}
    return {
        "networks": running,
        "comparisons": [[one.backbone, one.variant, one.against] for one in plan.declared],
        "seeds": plan.file.content.seed_numbers,
        "train": plan.file.content.train,
        "data": dict(data),
        "threads": threads,
        **({"tuning": list(plan.tuning)} if plan.tuning else {}),
    }


def declare(plan: Plan, folder: Path, data: Mapping[str, Any], threads: int = 1) -> None:
    """Write what is declared before the first run; or, in a folder that has a declaration, check that it is the same.

    Raises InputError with what differs, for a plan without a comparison, and for a folder that holds something else.
    """
    if not plan.declared:
        text = f"`{plan.file.name}` has no comparison to run: no variant composes within the budget"
        raise InputError(Diagnostic("comparison", text, help=plan.unmade))
    wanted = json.loads(json.dumps(declaration(plan, data, threads)))
    path = folder / DECLARATION
    before = read_declaration(path)
    if before is not None:
        differing = [*_differences(before, wanted)]
        if differing:
            text = f"`{folder}` holds the trials of another comparison"
            help = (
                *differing,
                "choose another folder: what was declared before the first run does not change after it",
            )
            raise InputError(Diagnostic("comparison", text, help=help))
        return
    if folder.is_dir() and (folder / TRIALS).exists():
        text = f"`{folder}` has trials and no `{DECLARATION}`, so nobody knows of what"
        raise InputError(Diagnostic("comparison", text, help=("choose another folder",)))
    names = spec_names(plan)
    texts = {f"{SPECS}/{name}": text for name, text in spec_texts(plan).items() if name in names.values()}
    write_texts(folder, {**texts, DECLARATION: declaration_text(wanted)}, force=True)


def run_trials(
    plan: Plan,
    folder: Path,
    run: RunTrial,
    *,
    every: RunJobs = in_turn,
    retry: bool = False,
    tell: Tell = lambda text: None,
) -> dict[tuple[str, str, int], Trial]:
    """Run every trial that the folder does not have; seed by seed, so that an interruption leaves whole pairs.

    run    trains a network
    every  runs the trials: one after another in this process, or several at once
    retry  run failed trials again
    tell   told what is being done
    Returns (backbone, variant, seed) -> its trial. Raises InputError if the folder cannot be written, or if two
    networks were tested on other images.
    """
    names = spec_names(plan)
    wanted = [(*row.arm.key, seed) for seed in plan.file.content.seed_numbers for row in plan.running]
    found: dict[tuple[str, str, int], Trial] = {}
    jobs: dict[Path, tuple[tuple[str, str, int], Job]] = {}
    for key in wanted:
        name, seed = names[key[:2]], key[2]
        own = trial_folder(folder, name, seed)
        trial = read_trial(own)
        if trial is None or (retry and trial.status == "failed"):
            own.mkdir(parents=True, exist_ok=True)
            label = f"{plan.label(*key[:2])}, seed {seed}"
            jobs[own] = key, Job(label, folder / SPECS / name, seed, own, trial.attempts if trial else 0)
        else:
            found[key] = trial
            _check_images(plan, found, key)

    def done(job: Job) -> None:
        key, _ = jobs[job.folder]
        trial = read_trial(job.folder)
        assert trial is not None, "a job that is done has a record"
        found[key] = trial
        _check_images(plan, found, key)

    if jobs:
        every(run, [job for _, job in jobs.values()], done, tell)
    return {key: found[key] for key in wanted}


def trial_folder(folder: Path, spec: str, seed: int) -> Path:
    """The folder of a trial, by the name of its spec's file."""
    return folder / TRIALS / spec.removesuffix(".yaml") / f"seed-{seed}"


def _check_images(plan: Plan, found: Trials, key: tuple[str, str, int]) -> None:
    """Raises InputError if a trial was tested on other images than the first one."""
    done = {one: trial for one, trial in found.items() if trial.status == "done"}
    if key not in done:
        return
    first = next(iter(done))
    if done[first].fingerprint != done[key].fingerprint:
        text = f"{_words(plan, key)} was tested on other images than {_words(plan, first)}"
        raise InputError(Diagnostic("trial", text, help=("all networks of a comparison need the same test split",)))


def _words(plan: Plan, key: tuple[str, str, int]) -> str:
    return f"`{plan.label(key[0], key[1])}`, seed {key[2]},"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What two declarations differ in, a sentence each."""
    before = {"threads": 1, **before}
    networks, others = before.get("networks", {}), now["networks"]
    for name in [*networks, *(one for one in others if one not in networks)]:
        if name not in others:
            yield f"`{name}` was declared, and is no longer"
        elif name not in networks:
            yield f"`{name}` was not declared"
        elif networks[name] != others[name]:
            yield f"`{name}` was another network"
    if before.get("comparisons") != now["comparisons"] and networks == others:
        was = plural(len(before.get("comparisons", ())), "comparison")
        yield f"{was} declared then, and other ones now"
    yield from changes(before, now, ("seeds", "train", "data", "threads"))
