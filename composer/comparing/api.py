"""Comparisons, for Python users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.benchmark import Settings
from composer.comparing.cluster import Workers
from composer.comparing.declared import declared_threads
from composer.comparing.file import ComparisonFile, read_comparison
from composer.comparing.plan import Plan, make_plan
from composer.comparing.results import Results
from composer.comparing.runner import DECLARATION, declare, run_trials
from composer.comparing.several import every_of, opened, told, workers_of
from composer.comparing.trials import Tell
from composer.comparing.write import write, write_results

if TYPE_CHECKING:
    from composer.training.data import Data
    from composer.training.trainer import Where


def compare(
    source: str | Path | Mapping[str, Any],
    data: str | Data | None = None,
    *,
    out: str | Path | None = None,
    sets: Iterable[str] = (),
    root: str | Path | None = None,
    allow_code: bool = False,
    latency: Settings | None = None,
    where: Where | None = None,
    parallel: int | None = None,
    address: str | None = None,
    threads: int | None = None,
    retry: bool = False,
    force: bool = False,
    say: Tell = print,
    tell: Tell = lambda text: None,
) -> Plan | Results:
    """Compare variants of a network: the Plan with their costs; with data, the Results of training all of them.

    source      the file of a comparison, or a mapping
    data        what all are trained on, as for `composer.train`; None to train nothing
    out         the folder of the report; with data, that of the trials too, which a later call goes on with
    sets        `dotted.path=value` settings, applied to the file before it is checked
    root        the folder that references may not leave; by default the file's own
    allow_code  let a backbone `package.module:factory` run its code
    latency     how forward passes are timed, in turn for each backbone; None not to
    where       the devices that train
    parallel    so many trainings at once, by Ray; by default one after another, in this process
    address     of a Ray cluster that trains, `HOST:PORT` or `auto`
    threads     of each training on a CPU, which its last bits depend on: 1, or what the folder's first call said
    retry       run failed trainings again
    force       replace a report that exists
    say, tell   are told sentences for the user, and how far it is
    Raises SpecError and GraphError with the mistakes of the file; InputError for data that cannot be used, for data
    without `out`, for a folder with the trials of another comparison, and for an address where no cluster answers;
    UnavailableError without the extra `train`, or `sweep` for several at once.

    >>> found = compare({"base": "resnet18", "variants": {"se": {"use": "se", "after": "branch"}}})
    >>> [(row.arm.variant, row.parameters) for row in found.rows]
    [('plain', 11689512), ('se', 11778592)]
    """
    file = read_comparison(source, sets)
    if data is None:
        plan = make_plan(file, root=root, allow_code=allow_code, latency=latency, tell=tell)
        if out is not None:
            write(plan, Path(out), force=force)
        return plan
    if out is None:
        raise ValueError("what is trained needs a folder: out=…")
    options: dict[str, Any] = {"root": root, "allow_code": allow_code, "latency": latency}
    known: dict[str, Any] = {"workers": workers_of(parallel, address), "threads": threads, "retry": retry}
    return trained(file, data, Path(out), options, where=where, **known, say=say, tell=tell)


def trained(
    file: ComparisonFile,
    data: str | Data,
    folder: Path,
    options: Mapping[str, Any],
    *,
    where: Where | None = None,
    workers: Workers | None = None,
    threads: int | None = None,
    retry: bool = False,
    say: Tell = print,
    tell: Tell = lambda text: None,
) -> Results:
    """The results of a comparison whose networks are all trained; what a folder has is not trained again.

    options  for `make_plan`
    workers  where several are trained at once; None for one after another, in this process
    Other arguments and errors are those of `compare`.
    """
    data = opened(data, workers, tell)
    from composer.comparing.learning import check_recipe, fitting_to
    from composer.training.trainer import HERE

    plan = make_plan(file, fit=fitting_to(data), tell=tell, **options)
    check_recipe(plan, data)
    threads = threads or declared_threads(folder / DECLARATION) or 1
    known: dict[str, Any] = {"threads": threads, "retry": retry, "workers": workers}
    allow_code = bool(options.get("allow_code"))
    for sentence in data.said:
        say(sentence)
    return run_plan(plan, data, folder, where or HERE, allow_code=allow_code, **known, say=say, tell=tell)


def run_plan(
    plan: Plan,
    data: Data,
    folder: Path,
    where: Where,
    *,
    workers: Workers | None,
    threads: int,
    allow_code: bool,
    retry: bool,
    say: Tell,
    tell: Tell,
) -> Results:
    """Declare a plan, train all its networks, and write what they show. Arguments and errors are those of `trained`."""
    from composer.comparing.learning import learner

    declare(plan, folder, {"source": data.name, "fingerprint": data.fingerprint}, threads)
    for sentence in plan.sentences():
        say(sentence)
    run, tell = told(lambda own: learner(data, where, threads=threads, allow_code=allow_code, tell=own), workers, tell)
    every = every_of(workers, [row.graph for row in plan.rows], folder, where, threads=threads, say=say)
    results = Results(plan, run_trials(plan, folder, run, every=every, retry=retry, tell=tell))
    write_results(results, folder)
    return results
