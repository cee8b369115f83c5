"""`composer compare`: what variants of a network cost and where they fit, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from composer.cli.screen import print_json
from composer.cli.spread import spread
from composer.cli.tables import print_csv, print_markdown, print_table

if TYPE_CHECKING:
    from composer.benchmark import Settings
    from composer.comparing.plan import Plan


@spread
def command(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .yaml file that says what is compared.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Write report.html, the tables, and every spec."),
    ] = None,
    latency: Annotated[bool, typer.Option("--latency", help="Time forward passes too, in turn.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Examples in a timed pass.")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="Timed passes of each, after 3 to warm up.")] = 20,
    device: Device = "auto",
    force: Force = False,
    reading: Reading,
    format: TableFormatOption = TableFormat.TEXT,
    saying: Saying,
) -> None:
    """Compare variants of a network: parameters, MACs, memory, latency, places that fit, and what seeds can show.

    FILE has a network (`base`, or `backbones`), `variants` by name, each a rule or a list of rules, or a `sweep`, a
    rule whose lists are axes; and if you like a `budget`, a `control` of plain networks that cost as much, and `seeds`.
    A variant that does not compose is a row with its reason. docs/compare.md has all of it.
    """
    from composer.comparing.file import read_comparison

    if output is not None:
        _check_folder(output, force=force)
    read = read_comparison(file, reading.sets or ())
    settings = _settings(batch, runs, device) if latency else None
    with stage(context, f"composing the networks of {read.name}") as tell:
        from composer.comparing.plan import make_plan

        plan = make_plan(read, root=reading.root, allow_code=reading.allow_code, latency=settings, tell=tell)
    if output is not None:
        from composer.comparing.write import write

        write(plan, output, force=force)
    _print(context, plan, format)
    if output is not None:
        say(context, f"wrote {output / 'report.html'}, with its tables and specs beside it")


def _check_folder(folder: Path, *, force: bool) -> None:
    """Check, before any slow work, that the report may be written. Raises InputError."""
    if str(folder) == "-":
        raise typer.BadParameter("a comparison is a folder, and `-` is stdout", param_hint="--output")
    check_output(folder / "report.html", force=force)


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
