"""`composer test`: what a run's best weights do on data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composer.cli.options import Device, Format, FormatOption, Plugins, Saying, find_device, say
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread


@spread
def command(
    context: typer.Context,
    *,
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Other data of the same classes; its test split.")
    ] = None,
    device: Device = "auto",
    plugin: Plugins = None,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """Test a run's best weights. On the run's own data this reads its test split again: choose nothing by it."""
    from composer.training.trainer import require

    require()
    from composer.training.api import data_of
    from composer.training.evaluating import again
    from composer.training.run import Run

    run = Run(folder)
    with stage(context, f"reading the data of {run}") as tell:
        found = data_of(run, data, tell)
    with stage(context, f"testing {run}") as tell:
        result = again(run, found, find_device(device), tell)
    if found.fingerprint == run.record["data"]["fingerprint"]:
        say(context, "this test split was read before: choose nothing by this number")
    if format is Format.JSON:
        print_json(result.to_json())
    else:
        out(str(result))
