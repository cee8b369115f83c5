"""`composer import`: writes a spec of a network that another tool describes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composer.amounts import plural
from composer.cli.options import AllowCode, Force, Saying, check_output, say, write
from composer.cli.progress import stage
from composer.cli.spread import spread
from composer.errors import ComposerError


@spread
def command(
    context: typer.Context,
    *,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="timm:resnet50, torchvision:…; or a file of ultralytics: yolov8n.yaml."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="`-` is stdout.")] = Path("-"),
    scale: Annotated[
        str | None, typer.Option("--scale", metavar="LETTER", help="The scale; else that in the file's name.")
    ] = None,
    force: Force = False,
    allow_code: AllowCode = False,
    saying: Saying,
) -> None:
    """Write the spec of a network that another tool describes, with the names of its weights."""
    check_output(output, force=force)
    from composer.importing.sources import import_source

    imported = import_source(source, scale=scale, allow_code=allow_code)
    with stage(context, f"composing {imported.name}"):
        from composer.api import compose

        try:
            graph = compose(imported.mapping)
        except ComposerError as error:
            raise imported.blamed(error) from error
    write(context, output, imported.text.encode(), force=force)
    say(context, f"{imported.name}: {plural(graph.num_parameters, 'parameter', ',')}")
    for note in imported.notes:
        say(context, note)
