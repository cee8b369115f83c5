"""`composer test`: what a run's best weights do on data."""

from __future__ import annotations

from typing import Annotated

import typer

from composer.cli.options import Device, Format, FormatOption, Plugins, Saying, find_device, say
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.training import RunFolder, open_run


@spread
def command(
    context: typer.Context,
    *,
    folder: RunFolder,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Other data of the same classes; its test split.")
    ] = None,
    device: Device = "auto",
    plugin: Plugins = None,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """Test a run's best weights. On the run's own data this reads its test split again: choose nothing by it."""
    run, found = open_run(context, folder, data)
    from composer.training.evaluating import again

    with stage(context, f"testing {run}") as tell:
        result = again(run, found, find_device(device), tell)
    if found.fingerprint == run.record["data"]["fingerprint"]:
        say(context, "this test split was read before: choose nothing by this number")
    if format is Format.JSON:
        print_json(result.to_json())
    else:
        out(str(result))
