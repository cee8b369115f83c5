"""`composer diff`: what differs between two networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.options import (
    Format,
    FormatOption,
    MaxNodes,
    MaxParameters,
    Plugins,
    Quiet,
    Root,
    Sets,
    Verbose,
    compose_graph,
    print_json,
    say,
)

if TYPE_CHECKING:
    from composer.difference import Difference

_DIFFERENT = 1


def command(
    context: typer.Context,
    before: Annotated[str, typer.Argument(metavar="A", help="A .yaml file, or a name such as `resnet50`.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The one to compare with it.")],
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where they differ.")] = False,
    sets: Sets = None,
    root: Root = None,
    plugin: Plugins = None,
    max_nodes: MaxNodes = None,
    max_parameters: MaxParameters = None,
    format: FormatOption = Format.TEXT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say what differs between two networks: nodes that were added, removed, moved and changed, and what that costs.

    Compared is what the networks compute: operations, options, shapes and wiring, not names, sites or lines of a
    spec. Text has changes of one sort in one line, JSON each by itself. `--set` changes both.
    """
    graphs = [compose_graph(spec, sets, root, max_nodes, max_parameters) for spec in (before, after)]
    from composer.difference import diff

    difference = diff(*graphs)
    if format is Format.JSON:
        print_json(difference.to_json())
    elif difference:
        _print(difference)
    else:
        say(context, "no difference")
    if difference and exit_code:
        raise typer.Exit(_DIFFERENT)


def _print(difference: Difference) -> None:
    from composer.cli.tables import print_lines
    from composer.difference.render import styled

    print_lines(styled(difference))
