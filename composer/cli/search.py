"""`composer search`: a variant and its recipe are searched, then compared on fresh seeds with a tuned plain network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.compare import print_results
from composer.cli.options import Device, Reading, Saying, TableFormat, TableFormatOption, say
from composer.cli.progress import stage
from composer.cli.spread import spread
from composer.cli.training import ManyTrainings, Threads, going_on, where_of


@spread
def command(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .yaml file of a comparison, with `search`.")],
    data: Annotated[str, typer.Option("--data", metavar="DATA", help="As `composer train` takes it.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The report, the tables, and all trainings.")
    ],
    threads: Threads = None,
    device: Device = "auto",
    many: ManyTrainings,
    reading: Reading,
    format: TableFormatOption = TableFormat.TEXT,
    saying: Saying,
) -> None:
    """Search which variant and which recipe do best, then compare them with a plain network that was tuned as long.

    FILE is that of `composer compare`, with `search: {trials: N, ranges: {train.optimizer.lr: {from: …, to: …}}}`.
    Trainings that are behind end early. What is chosen, by validation, is trained again on seeds that the search did
    not have, beside a plain network of the same cost whose recipe was searched by as many trainings. The test images
    are read in this comparison alone. The same command goes on after an interruption. All of it is in
    examples/guides/compare.md.
    """
    from composer.comparing.file import read_comparison

    if str(output) == "-":
        raise typer.BadParameter("a search is a folder, and `-` is stdout", param_hint="--output")
    read = read_comparison(file, reading.sets or ())
    where = where_of(device)
    from composer.searching.api import searched

    options: dict[str, Any] = {"root": reading.root, "allow_code": reading.allow_code}
    with going_on(context), stage(context, f"searching the networks of {read.name}") as tell:
        found = searched(
            read,
            data,
            output,
            options,
            where=where,
            workers=many.workers,
            threads=threads,
            retry=many.retry,
            say=lambda text: say(context, text),
            tell=tell,
        )
    print_results(context, found.results, format)
    say(context, f"wrote {output / 'report.html'}, and `search.csv` with all trainings of the search beside it")
