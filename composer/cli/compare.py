"""`composer compare`: what variants of a network cost, where they fit, and what training shows of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.options import (
    Device,
    Force,
    Reading,
    Saying,
    TableFormat,
    TableFormatOption,
    check_output,
    find_device,
    say,
)
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_csv, print_markdown, print_table
from composer.cli.training import ManyTrainings, Threads, going_on, where_of
from composer.errors import Diagnostic, InputError

if TYPE_CHECKING:
    from composer.benchmark import Settings
    from composer.comparing.file import ComparisonFile
    from composer.comparing.plan import Plan
    from composer.comparing.results import Results


@spread
def command(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .yaml file that says what is compared.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Write report.html, the tables, and every spec."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Train all networks on it, as `composer train` does; needs -o."),
    ] = None,
    threads: Threads = None,
    latency: Annotated[bool, typer.Option("--latency", help="Time forward passes too, in turn.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Examples in a timed pass.")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="Timed passes of each, after 3 to warm up.")] = 20,
    device: Device = "auto",
    force: Force = False,
    many: ManyTrainings,
    reading: Reading,
    format: TableFormatOption = TableFormat.TEXT,
    saying: Saying,
) -> None:
    """Compare variants of a network: parameters, MACs, memory, latency, places that fit, and what seeds can show.

    FILE has a network (`base`, or `backbones`), `variants` by name, each a rule or a list of rules, or a `sweep`, a
    rule whose lists are axes; and if you like a `budget`, a `control` of plain networks that cost as much, and `seeds`.
    A variant that does not compose is a row with its reason. With --data all are trained, on the same seeds; the same
    command goes on after an interruption. examples/guides/compare.md has all of it.
    """
    from composer.comparing.file import read_comparison

    many.check(data, output)
    if output is not None:
        _check_folder(output, force=force or data is not None, trained=data is None)
    read = read_comparison(file, reading.sets or ())
    settings = _settings(batch, runs, device) if latency else None
    options: dict[str, Any] = {"root": reading.root, "allow_code": reading.allow_code, "latency": settings}
    if data is not None and output is not None:
        training = {"workers": many.workers, "threads": threads, "retry": many.retry}
        _train(context, read, data, output, device, options, training, format)
        return
    with stage(context, f"composing the networks of {read.name}") as tell:
        from composer.comparing.plan import make_plan

        plan = make_plan(read, tell=tell, **options)
    if output is not None:
        from composer.comparing.write import write

        write(plan, output, force=force)
    _print(context, plan, format)
    if output is not None:
        say(context, f"wrote {output / 'report.html'}, with its tables and specs beside it")


def _train(
    context: typer.Context,
    read: ComparisonFile,
    data: str,
    output: Path,
    device: str,
    options: dict[str, Any],
    training: dict[str, Any],
    format: TableFormat,
) -> None:
    """Train what is not trained yet, and report. Raises ComposerError."""
    where = where_of(device)
    from composer.comparing.api import trained

    with going_on(context), stage(context, f"comparing the networks of {read.name}") as tell:
        results = trained(
            read, data, output, options, where=where, say=lambda text: say(context, text), tell=tell, **training
        )
    print_results(context, results, format)
    say(context, f"wrote {output / 'report.html'}, with its tables and specs beside it")


def print_results(context: typer.Context, results: Results, format: TableFormat) -> None:
    """Print what the runs of a comparison show."""
    from composer.comparing.findings import SCORE_HEADS, SCORE_RIGHT, VERDICT_RIGHT, score_cells, verdict_table

    if format is TableFormat.JSON:
        print_json(results.to_json())
    elif format is TableFormat.CSV:
        print_csv(results.comparisons())
    else:
        shown = print_markdown if format is TableFormat.MD else print_table
        shown(SCORE_HEADS, score_cells(results), SCORE_RIGHT)
        out()
        shown(*verdict_table(results), VERDICT_RIGHT)
        if format is TableFormat.TEXT:
            words = [f"{results.name(pair)}: {one}" for pair, one in results.verdicts]
            say(context, "\n".join(["", *words, *results.sentences()]))


def _check_folder(folder: Path, *, force: bool, trained: bool) -> None:
    """Check, before any slow work, that the report may be written; `trained`: not over trials. Raises InputError."""
    if str(folder) == "-":
        raise typer.BadParameter("a comparison is a folder, and `-` is stdout", param_hint="--output")
    check_output(folder / "report.html", force=force)
    if trained and (folder / "declaration.json").exists():
        help = ("--data DATA goes on with them; or choose another folder",)
        raise InputError(Diagnostic("comparison", f"`{folder}` holds the trials of a comparison", help=help))


def _settings(batch: int, runs: int, device: str) -> Settings:
    target = find_device(device)
    from composer.benchmark import Settings

    return Settings(batch=batch, runs=runs, device=target)


def _print(context: typer.Context, plan: Plan, format: TableFormat) -> None:
    from composer.comparing.table import RIGHT, cells, flat, heads

    if format is TableFormat.JSON:
        print_json(plan.to_json())
    elif format is TableFormat.CSV:
        print_csv(flat(plan))
    else:
        (print_markdown if format is TableFormat.MD else print_table)(heads(plan), cells(plan), RIGHT)
        if format is TableFormat.TEXT:
            say(context, "\n" + "\n".join(plan.sentences()))
