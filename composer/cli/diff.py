"""`composer diff`: the differences between two networks."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.browser import Open, open_page, page_to_open
from composer.cli.options import (
    SPEC_HELP,
    Budget,
    Force,
    Reading,
    Saying,
    check_output,
    complete_spec,
    note_format,
    say,
    write,
)
from composer.cli.screen import print_json
from composer.cli.spread import spread
from composer.draw.formats import format_of

if TYPE_CHECKING:
    from composer.difference import Difference

_DIFFERENT = 1
_SUFFIXES = {"text": (".txt",), "json": (".json",), "html": (".html", ".htm"), "md": (".md",)}


class Format(enum.StrEnum):
    """The format of a difference."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"
    MD = "md"


def _note(context: typer.Context, value: Format | None) -> Format | None:
    return value and note_format(context, value)


@spread
def command(
    context: typer.Context,
    *,
    before: Annotated[
        str,
        typer.Argument(metavar="A", help=SPEC_HELP, autocompletion=complete_spec),
    ],
    after: Annotated[
        str, typer.Argument(metavar="B", help="The one to compare with it.", autocompletion=complete_spec)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Its ending is the format; `-` is stdout.")
    ] = Path("-"),
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where they differ.")] = False,
    open_it: Open = False,
    force: Force = False,
    reading: Reading,
    budget: Budget,
    format: Annotated[Format | None, typer.Option("--format", help="How to tell it.", callback=_note)] = None,
    saying: Saying,
) -> None:
    """Say what differs between two networks: nodes that were added, removed, moved and changed, and what that costs.

    Compared is what the networks compute: operations, options, shapes and wiring, not names, sites or lines of a
    spec. Text has changes of one sort in one line, JSON each by itself; HTML is a page with both networks, the changes
    marked, MD a Mermaid picture with tables, for a pull request. `--set` changes both.
    """
    if open_it and str(output) == "-":
        output = page_to_open(after)
    kind = format_of(output, format, _SUFFIXES, "text")
    check_output(output, force=force)
    graphs = [reading.compose(context, spec, budget) for spec in (before, after)]
    from composer.difference import compare

    difference = compare(*graphs)
    if str(output) != "-" or kind in (Format.HTML, Format.MD):
        write(context, output, _rendered(difference, kind).encode("utf-8", "replace"), force=force)
        if open_it:
            open_page(context, output)
    elif kind == Format.JSON:
        print_json(difference.to_json())
    elif difference:
        _print(difference)
    else:
        say(context, "no difference")
    if difference and exit_code:
        raise typer.Exit(_DIFFERENT)


def _rendered(difference: Difference, kind: str) -> str:
    """A difference as the text of a file of this format."""
    if kind == Format.HTML:
        from composer.page.comparison import render_difference

        return render_difference(difference)
    if kind == Format.MD:
        from composer.page.markdown import markdown_difference

        return markdown_difference(difference)
    if kind == Format.JSON:
        return json.dumps(difference.to_json(), indent=2, ensure_ascii=False) + "\n"
    return f"{difference}\n"


def _print(difference: Difference) -> None:
    from composer.cli.screen import columns, print_lines
    from composer.cli.tables import tell_left_out
    from composer.difference.render import HEADS, heads_within, styled

    limit = columns()
    print_lines(styled(difference, limit))
    if left_out := HEADS[len(heads_within(difference, limit)) :]:
        tell_left_out(left_out)
