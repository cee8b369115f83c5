"""`composer scan`: one mechanism at each place of a network, by what it costs there."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.options import Device, Reading, Saying, SpecName, TableFormat, TableFormatOption, say
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_csv, print_markdown, print_table
from composer.cli.training import ManyTrainings, going_on, where_of
from composer.errors import Diagnostic, Location, Source, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from composer.scanning.question import Question
    from composer.scanning.scan import Scan
    from composer.scanning.trained import TrainedScan
    from composer.spec.document import Value


class Cost(enum.StrEnum):
    """What places are ranked by."""

    PARAMETERS = "parameters"
    MACS = "macs"
    MEMORY = "memory"


class Start(enum.StrEnum):
    """How an inserted mechanism begins."""

    IDENTITY = "identity"


@spread
def command(
    context: typer.Context,
    *,
    spec: SpecName,
    use: Annotated[str, typer.Option("--use", metavar="NAME", help="The mechanism.")],
    options: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="KEY=VALUE", help="An option of the mechanism. Repeatable."),
    ] = None,
    after: Annotated[str | None, typer.Option(help="The places, a site or a glob (block).")] = None,
    before: Annotated[str | None, typer.Option(help="The same, before them.")] = None,
    replace: Annotated[str | None, typer.Option(help="The same, in place of them.")] = None,
    beside: Annotated[str | None, typer.Option(help="The same, beside them.")] = None,
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help="Only places like `stage >= 3`.")] = None,
    start: Annotated[
        Start | None, typer.Option(help="`identity`: the outputs are the plain network's at first.")
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget", metavar="COST=MOST", help="What it may cost: parameters=+5%, macs=2000000000. Repeatable."
        ),
    ] = None,
    cost: Annotated[Cost | None, typer.Option(help="What places are ranked by; the budget's if not given.")] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DATA", help="Train on it, as `composer train` does; needs -o."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="The folder of the trainings.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="With --data: seeds that choose places.")] = 2,
    fresh: Annotated[int, typer.Option(min=1, help="Further seeds, which report what was chosen.")] = 7,
    places: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Train only so many places, evenly spread over the network.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="So many places together at most.")] = 3,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of the trainings that choose (the recipe's).")] = None,
    device: Device = "auto",
    many: ManyTrainings,
    reading: Reading,
    format: TableFormatOption = TableFormat.TEXT,
    saying: Saying,
) -> None:
    """Scan the places of a network: what a mechanism costs at each by itself, and how many go together in a budget.

    A place where it does not fit is a row with the reason. With --data each place is trained beside the plain network
    on the same seeds, ranked by its gain on the validation split for its cost, and the best go together while the gain
    grows; what was chosen is then compared on fresh seeds. The same command goes on after an interruption. All of it
    is in examples/guides/scan.md.
    """
    from composer.scanning.api import cost_of, scan_costs

    if data is None and output is not None:
        raise typer.BadParameter("without --data nothing is trained, and --format writes the table", param_hint="-o")
    many.check(data, output)
    rule = _rule(use, options or (), {"after": after, "before": before, "replace": replace, "beside": beside}, where)
    if start is not None:
        rule = rule.with_value(("start",), _value("--start", start.value))
    question = _question(spec, rule, budget or (), reading)
    if data is not None and output is not None:
        devices = where_of(device)
        from composer.scanning.train import How, scan_trained
        from composer.scanning.trained import Trainings

        trainings = Trainings(seeds, fresh, places, most, epochs)
        by = cost_of(question, cost and cost.value)
        with going_on(context), stage(context, f"scanning {question.name}") as tell:
            how = How(devices, many.workers, many.retry, lambda text: say(context, text), tell)
            trained = scan_trained(question, data, output, by, trainings, how)
        _print_trained(context, trained, format)
        more = "" if trained.results is None else f", and of the fresh seeds {output / 'confirm' / 'report.html'}"
        say(context, f"wrote {output / 'scan.html'}{more}")
        return
    with stage(context, f"scanning {question.name}") as tell:
        found = scan_costs(question, cost and cost.value, tell=tell)
    _print(context, found, format)


def _question(spec: str, rule: Value, budget: list[str] | tuple[str, ...], reading: Reading) -> Question:
    from composer.scanning.api import placed
    from composer.scanning.question import Question
    from composer.spec.settings import read_settings

    amounts = _pairs("--budget", budget, "parameters=+5%")
    settings = read_settings({}, reading.sets or ())
    return Question(spec, placed(rule), amounts if budget else None, settings, reading.root, reading.allow_code)


def _rule(use: str, options: list[str] | tuple[str, ...], at: dict[str, str | None], where: str | None) -> Value:
    """The rule that the options write, each part where it is written."""
    from composer.spec.document import Value

    written = {"use": use, **at, "where": where}
    data = {key: _value(f"--{key}", one) for key, one in written.items() if one is not None}
    given = [key for key in at if key in data]
    if len(given) > 1:
        raise typer.BadParameter(f"give one of {', '.join(f'--{key}' for key in at)}")
    if options:
        data["with"] = _pairs("--with", options, "reduction=4")
    return Value(data)


def _value(option: str, text: str) -> Value:
    """A text as an option gives it; a caret points into it."""
    from composer.spec.document import Value

    return Value(text, Location(Source(option, text), 1, 1, len(text) + 1))


def _pairs(option: str, texts: list[str] | tuple[str, ...], such_as: str) -> Value:
    """A mapping of `key=value` texts. Raises SpecError for one without a key or a value."""
    from composer.spec.document import Value
    from composer.spec.yaml import read_value

    found = Value({})
    for text in texts:
        source = Source(option, text)
        key, equals, written = text.partition("=")
        whole = Location(source, 1, 1, max(1, len(key)) + 1)
        steps = tuple(step.strip() for step in key.split("."))
        if not equals or not all(steps) or not written.strip():
            help = (f"for example `{option} {such_as}`",)
            raise SpecError(Diagnostic("set", f"cannot read `{option} {text}`", whole, label="`key=value`", help=help))
        value = read_value(source, len(key) + 1)
        found = found.with_value(steps, Value(value.data, value.location, whole))
    return found


def _print(context: typer.Context, found: Scan, format: TableFormat) -> None:
    from composer.scanning.table import HEADS, RIGHT, cells

    if format is TableFormat.JSON:
        print_json(found.to_json())
    elif format is TableFormat.CSV:
        print_csv([found.values(site) for site in found.rows])
    else:
        rows = cells(found)
        _shown(HEADS, rows, RIGHT, format)
        if format is TableFormat.TEXT:
            say(context, "\n" + "\n".join(found.sentences()))


def _shown(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str], format: TableFormat) -> None:
    """A table of places; as text, notes stand below it, where a narrow terminal has room for them."""
    if format is TableFormat.MD:
        print_markdown(heads, rows, right)
        return
    from composer.scanning.table import notes

    print_table(heads[:-1], [row[:-1] for row in rows], right)
    for line in notes(rows):
        out(line)


def _print_trained(context: typer.Context, found: TrainedScan, format: TableFormat) -> None:
    from composer.scanning.table import STEP_HEADS, STEP_RIGHT, gained_cells, gained_heads, gained_right, step_cells

    if format is TableFormat.JSON:
        print_json(found.to_json())
    elif format is TableFormat.CSV:
        print_csv(found.rows())
    else:
        _shown(gained_heads(found), gained_cells(found), gained_right(found), format)
        if len(found.steps) > 1:
            out("")
            (print_markdown if format is TableFormat.MD else print_table)(STEP_HEADS, step_cells(found), STEP_RIGHT)
        if format is TableFormat.TEXT:
            say(context, "\n" + "\n".join(found.sentences()))
