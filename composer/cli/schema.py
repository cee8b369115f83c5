"""`composer schema`: the JSON Schema of specs, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composer.cli.options import Force, Plugins, Saying, say
from composer.cli.progress import stage
from composer.cli.screen import out
from composer.cli.spread import spread
from composer.index.card import SCHEMA, is_enough
from composer.index.text import lines


@spread
def command(
    context: typer.Context,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="`-` is stdout.")] = Path("-"),
    force: Force = False,
    plugin: Plugins = None,
    saying: Saying,
) -> None:
    """Print the JSON Schema (draft-07) of specs, with the options of every registered mechanism and layer."""
    from composer.files import write_text

    with stage(context, "writing the schema"):
        text = _text()
    if str(output) == "-":
        out(text, end="")
    else:
        write_text(output, text, force=force)
        say(context, f"wrote {output}")


def _text() -> str:
    if is_enough():
        return SCHEMA.read_text(encoding="utf-8") + "\n"
    from composer.schema import schema

    return lines(schema()) + "\n"
