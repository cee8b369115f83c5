"""`composer summary`: a network's parameters, multiply-accumulates and memory per node, and what attention added."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.options import Budget, Reading, Saying, SpecName, TableFormat, TableFormatOption, measured, say
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.errors import InputError

if TYPE_CHECKING:
    from composer.summary.view import View


class Order(enum.StrEnum):
    """How the rows of a parent are sorted."""

    ORDER = "order"
    PARAMETERS = "parameters"
    MACS = "macs"
    MEMORY = "memory"
    TIME = "time"


# Number of runs if a column or the order needs time, but --time is not given.
RUNS = 5


@spread
def command(
    context: typer.Context,
    *,
    spec: SpecName,
    depth: Annotated[
        int | None, typer.Option(min=0, help="Rows below the network's own; as many as fit a page, in CSV all.")
    ] = None,
    sort: Annotated[Order, typer.Option(help="As they run, or the largest of each parent first.")] = Order.ORDER,
    columns: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="op count output parameters macs memory time source options")
    ] = None,
    time: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="RUNS",
            help="Run the network on one random image and show the time of each operation, the median of so many runs. "
            "Without it, and without `time` among the columns or as order, no network is ever run.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Where time is measured: auto, cpu, cuda or cuda:N.")] = "auto",
    reading: Reading,
    budget: Budget,
    format: TableFormatOption = TableFormat.TEXT,
    saying: Saying,
) -> None:
    """Print a network as a tree: shapes, parameters, MACs, activation memory, source lines; and what attention added.

    Nodes that repeat are one row, which shows what all of them cost together. Memory is what one more example of a
    batch adds to a training step: every tensor that is kept for the backward pass, once, in float32. Time is measured
    only with --time.
    JSON holds every row and column.
    """
    graph = reading.compose(context, spec, budget)
    wanted = columns.split(",") if columns is not None else None
    runs = time or (RUNS if sort is Order.TIME or "time" in (wanted or ()) else None)
    summary = graph.summary(measured(context, graph, runs, device) if runs else None)
    if format is TableFormat.JSON:
        print_json(summary.to_json())
        return
    from composer.summary.view import deepest

    bottom = deepest(summary.root)
    shown = bottom if depth is None and format is TableFormat.CSV else depth
    try:
        view = summary.view(depth=shown, sort=sort.value, columns=wanted)
    except InputError as error:
        problem = error.diagnostics[0]
        raise typer.BadParameter("; ".join((problem.message, *problem.help)), param_hint="--columns") from error
    if format is TableFormat.TEXT:
        _print(view, chosen=columns is not None)
    else:
        out(view.csv() if format is TableFormat.CSV else view.markdown())
    if depth is None and view.depth < bottom:
        say(context, f"rows below depth {view.depth} of {bottom} are left out; all of them: --depth {bottom}")


def _print(view: View, *, chosen: bool) -> None:
    """Print the tree; on a terminal, without the columns that do not fit."""
    from composer.cli.screen import columns, draws, print_lines
    from composer.cli.tables import tell_left_out
    from composer.summary.render import ASCII, DRAWN, RULE_HEADS, fitting, rule_heads_within, styled

    limit = columns()
    guides = DRAWN if limit is not None and draws("├") else ASCII
    shown = view if limit is None or chosen else fitting(view, guides, limit)
    print_lines(styled(shown, guides, limit))
    added = RULE_HEADS[len(rule_heads_within(view, limit)) :] if view.summary.rules else ()
    if left_out := [*view.columns[len(shown.columns) :], *(f"{head} by attention" for head in added)]:
        tell_left_out(left_out)
