"""`composer resume`: goes on with a run from its last checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from composer.cli.options import Plugins, Saying
from composer.cli.spread import spread
from composer.cli.training import Resources, RunFolder, leaving, open_run


@spread
def command(
    context: typer.Context,
    *,
    folder: RunFolder,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Where the same data is now, if it was moved.")
    ] = None,
    resources: Resources,
    plugin: Plugins = None,
    saying: Saying,
) -> None:
    """Train from a run's last checkpoint to its end: on a CPU, the result is that of a run that never stopped."""
    run, found = open_run(context, folder, data)
    from composer.training.go_on import go_on

    with leaving(context, run) as (speak, tell):
        go_on(run, found, where=resources.where, say=speak, tell=tell)
