"""Comparisons, for Python users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.benchmark import Settings
from composer.comparing.file import ComparisonFile, read_comparison
from composer.comparing.plan import Plan, make_plan
from composer.comparing.results import Results
from composer.comparing.runner import declare, run_trials
from composer.comparing.write import write, write_results

if TYPE_CHECKING:
    from composer.training.data import Data
    from composer.training.trainer import Where

Tell = Callable[[str], None]


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
    retry       run failed trainings again
    force       replace a report that exists
    say, tell   are told sentences for the user, and how far it is
    Raises SpecError and GraphError with the mistakes of the file; InputError for data that cannot be used, for data
    without `out`, and for a folder with the trials of another comparison; UnavailableError without the extra `train`.

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
    return trained(file, data, Path(out), options, where=where, retry=retry, say=say, tell=tell)


def trained(
    file: ComparisonFile,
    data: str | Data,
    folder: Path,
    options: Mapping[str, Any],
    *,
    where: Where | None = None,
    retry: bool = False,
    say: Tell = print,
    tell: Tell = lambda text: None,
) -> Results:
    """The results of a comparison whose networks are all trained; what a folder has is not trained again.

    options  for `make_plan`
    Other arguments and errors are those of `compare`.
    """
    from composer.training.trainer import HERE, require

    require()
    from composer.comparing.learning import check_data, check_recipe, fitting_to, learner
    from composer.training.data import Data, open_data

    if not isinstance(data, Data):
        tell(f"reading {data}")
        data = open_data(data, tell=tell)
    check_data(data)
    plan = make_plan(file, fit=fitting_to(data), tell=tell, **options)
    check_recipe(plan, data)
    declare(plan, folder, {"source": data.name, "fingerprint": data.fingerprint})
    for sentence in (*plan.sentences(), *data.said):
        say(sentence)
    at = [""]

    def told(text: str) -> None:
        at[0] = text
        tell(text)

    run = learner(
        data, where or HERE, allow_code=bool(options.get("allow_code")), tell=lambda text: tell(f"{at[0]}, {text}")
    )
    results = Results(plan, run_trials(plan, folder, run, retry=retry, tell=told))
    write_results(results, folder)
    return results
