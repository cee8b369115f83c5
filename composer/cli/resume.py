"""`composer resume`: goes on with a run from its last checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composer.cli.options import Plugins, Saying
from composer.cli.progress import stage
from composer.cli.spread import spread
from composer.cli.training import Resources, leaving


@spread
def command(
    context: typer.Context,
    *,
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Where the same data is now, if it was moved.")
    ] = None,
    resources: Resources,
    plugin: Plugins = None,
    saying: Saying,
) -> None:
    """Train from a run's last checkpoint to its end: on a CPU, the result is that of a run that never stopped."""
    from composer.training.trainer import require

    require()
    from composer.training.api import data_of
    from composer.training.go_on import go_on
    from composer.training.run import Run

    run = Run(folder)
    with stage(context, f"reading the data of {run}") as tell:
        found = data_of(run, data, tell)
    with leaving(context, run) as (speak, tell):
        go_on(run, found, where=resources.where, say=speak, tell=tell)
