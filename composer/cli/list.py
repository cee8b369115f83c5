"""`composer list`: names of mechanisms, layers, networks of all kinds, key maps and recipes."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from composer import finding
from composer.amounts import millions
from composer.cli import problems
from composer.cli.candidates import Sort, print_candidates
from composer.cli.options import AllowCode, Plugins, Saying, TableFormat, TableFormatOption, say
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_csv, print_markdown, print_table
from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.finding import GROUPS
from composer.index.card import Card, cards, failures
from composer.index.networks import description, papers
from composer.spec import zoo


class What(enum.StrEnum):
    """Kinds of names."""

    ALL = "all"
    MECHANISMS = "mechanisms"
    LAYERS = "layers"
    BACKBONES = "backbones"
    NECKS = "necks"
    SEGMENTATION = "segmentation"
    DETECTION = "detection"
    VIDEO = "video"
    PAPERS = "papers"
    KEYS = "keys"
    RECIPES = "recipes"


# Kinds of networks that are named after their folder.
NETWORKS = (What.BACKBONES, What.NECKS, What.SEGMENTATION, What.DETECTION, What.VIDEO)
PRINTED = ("printed_parameters", "printed_macs", "counter", "deviates")
MEASURED = ("description", "top1", "images_per_second", "note", *PRINTED)
NUMBERS = ("parameters", "macs", "printed_parameters", "printed_macs", "top1", "images_per_second")
ROW = "Papers only: rows of a results table"
AT = "With --on: the places, a site or a glob; without one, each mechanism's usual place."
# Columns that only JSON and CSV have.
UNSEEN = ("kind", "paper", "aliases")


@spread
def command(
    context: typer.Context,
    *,
    what: Annotated[What, typer.Argument(help="Which names.")] = What.ALL,
    pattern: Annotated[
        str, typer.Argument(help="Only names like this, e.g. 'resnet*'; of mechanisms also an alias, or any words.")
    ] = "*",
    table: Annotated[str | None, typer.Option(help=f"{ROW} of the article, e.g. 3.3.")] = None,
    architecture: Annotated[str | None, typer.Option(help=f"{ROW} with this architecture, e.g. ResNet-50.")] = None,
    mechanism: Annotated[str | None, typer.Option(help=f"{ROW} with this mechanism, e.g. 'GE-*'.")] = None,
    cost: Annotated[
        bool | None,
        typer.Option("--cost/--no-cost", help="Parameters and MACs of each network, which takes a while; on for md."),
    ] = None,
    on: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Mechanisms only: what each would add to this network.")
    ] = None,
    after: Annotated[str | None, typer.Option(metavar="SITE", help=AT)] = None,
    before: Annotated[str | None, typer.Option(metavar="SITE", help=AT)] = None,
    replace: Annotated[str | None, typer.Option(metavar="SITE", help=AT)] = None,
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help="With --on: only these places.")] = None,
    sort: Annotated[Sort, typer.Option(help="With --on: the order of the rows, what adds least first.")] = Sort.GROUP,
    plugin: Plugins = None,
    allow_code: AllowCode = False,
    format: TableFormatOption = TableFormat.TEXT,
    saying: Saying,
) -> None:
    """List mechanisms, layers, networks, the papers' networks with results, key maps, and recipes."""
    filters = {"table": table, "architecture": architecture, "mechanism": mechanism}
    if any(value is not None for value in filters.values()):
        if what not in (What.ALL, What.PAPERS):
            raise typer.BadParameter("only `composer list papers` has tables, architectures and mechanisms")
        what = What.PAPERS
    position = {"after": after, "before": before, "replace": replace}
    place = {word: value for word, value in {**position, "where": where}.items() if value is not None}
    if on is not None:
        if what not in (What.ALL, What.MECHANISMS):
            raise typer.BadParameter("`--on` is for `composer list mechanisms`")
        if place and sum(word in place for word in position) != 1:
            raise typer.BadParameter("give one of --after, --before and --replace")
        mechanisms = _mechanisms(pattern)
        if not mechanisms and format is TableFormat.JSON:
            print_json([])
        if not mechanisms:
            _tell_nothing(What.MECHANISMS, [What.MECHANISMS], pattern, filters)
        print_candidates(context, on, place, mechanisms, sort, format, allow_code=allow_code)
        return
    if place:
        raise typer.BadParameter("a place is for `composer list mechanisms --on SPEC`")
    networks = what in (*NETWORKS, What.PAPERS)
    if cost and not networks:
        raise typer.BadParameter("`--cost` is for networks, such as `composer list backbones`, `necks` and `papers`")
    wanted = [one for one in What if one is not What.ALL] if what is What.ALL else [what]
    with_cost = cost if cost is not None else format is TableFormat.MD and networks
    with stage(context, "composing every network" if with_cost else "reading names"):
        found = {one.value: _rows(one, pattern, filters, with_cost) for one in wanted}
    if format is TableFormat.JSON:
        print_json(found if what is What.ALL else found[what.value])
    else:
        _print_all({name: rows for name, rows in found.items() if rows}, format, headed=what is What.ALL)
    if any(one in wanted for one in (What.MECHANISMS, What.LAYERS)):
        for problem in failures():
            say(context, str(problem))
    if any(found.values()):
        return
    if pattern == "*":
        say(context, "there are none")
        return
    _tell_nothing(what, wanted, pattern, filters)


def _tell_nothing(what: What, wanted: Sequence[What], pattern: str, filters: dict[str, str | None]) -> NoReturn:
    """Tell that a pattern finds nothing, with names that are near, and exit; the empty document is printed already."""
    every = [row for one in wanted for row in _rows(one, "*", filters, False)]
    known = [name for row in every for name in (row["name"], *row.get("aliases", ()))]
    word, verb = pattern.strip("*?"), "composer list" if what is What.ALL else f"composer list {what.value}"
    help = did_you_mean(word, known, f"`{verb}` shows all")
    if what is What.MECHANISMS and (layers := finding.find(cards("layer"), pattern)):
        names = one_of(one.name for one in layers)
        help = (f"among layers there is {names}; `composer list layers` shows all", *help)
    if within := [name for name in known if word in name]:
        help = (f"`{verb} '*{word}*'` finds {one_of(within, 3)}",)
    problems.show(InputError(Diagnostic("unknown-name", f"nothing is called `{pattern}`", help=help)))
    raise typer.Exit(InputError.exit_code)


def _print_all(found: Mapping[str, Sequence[dict[str, Any]]], format: TableFormat, *, headed: bool) -> None:
    for index, (name, rows) in enumerate(found.items()):
        if headed:
            out(("\n" if index else "") + name)
        _print(rows, format)


def _rows(what: What, pattern: str, filters: dict[str, str | None], cost: bool) -> Sequence[dict[str, Any]]:
    if what in NETWORKS:
        names = zoo.backbones(pattern) if what is What.BACKBONES else zoo.others(what.value, pattern)
        return _with_cost([{"name": name, "description": description(name)} for name in names], cost)
    if what is What.PAPERS:
        return _with_cost([*papers(pattern, filters)], cost)
    if what is What.KEYS:
        return _named("names", {name: zoo.key_map(name) for name in zoo.key_maps()}, pattern)
    if what is What.RECIPES:
        return _named("training", {name: zoo.recipe(name) for name in zoo.recipes()}, pattern)
    if what is What.MECHANISMS:
        return [
            {"name": one.name, "group": one.group, "from": one.plugin, "summary": one.summary, "kind": one.kind}
            | {"paper": finding.paper(one.doc), "aliases": list(one.aliases)}
            for one in _mechanisms(pattern)
        ]
    return [
        {"name": one.name, "kind": one.kind, "from": one.plugin, "summary": one.summary}
        for one in finding.find(cards("layer"), pattern)
    ]


def _mechanisms(pattern: str) -> Sequence[Card]:
    """Mechanisms that a pattern or words find, by group."""
    return sorted(finding.find(cards("mechanism"), pattern), key=lambda one: GROUPS.index(one.group))


def _with_cost(rows: list[dict[str, Any]], cost: bool) -> list[dict[str, Any]]:
    if not cost:
        return [{key: value for key, value in row.items() if key not in PRINTED} for row in rows]
    from composer.costs import costs

    found = costs(row["name"] for row in rows)
    return [_with_columns(row, asdict(found[row["name"]])) for row in rows]


def _with_columns(row: dict[str, Any], cost: dict[str, Any]) -> dict[str, Any]:
    """A row with its cost before the measured columns."""
    measured = {key: value for key, value in row.items() if key in MEASURED}
    return {**{key: value for key, value in row.items() if key not in MEASURED}, **cost, **measured}


def _print(rows: Sequence[dict[str, Any]], format: TableFormat) -> None:
    if format is TableFormat.CSV:
        print_csv(rows)
        return
    heads = [head for head in rows[0] if head == "macs" or any(row[head] is not None for row in rows)]
    if "group" in heads:
        heads = [head for head in heads if head not in UNSEEN]
    if format is TableFormat.TEXT and all(row.get("from") == "composer" for row in rows):
        # What is all composer's own needs no column that says so.
        heads = [head for head in heads if head != "from"]
    cells = [[_cell(head, row[head]) for head in heads] for row in rows]
    (print_markdown if format is TableFormat.MD else print_table)(heads, cells, NUMBERS)


def _cell(head: str, value: Any) -> str:
    if head in ("parameters", "macs"):
        return millions(value)
    return "" if value is None else str(value)


def _named(head: str, files: Mapping[str, Path | None], pattern: str) -> list[dict[str, Any]]:
    """Files that match the pattern; the first line of each says what it is for."""
    found = {name: path for name, path in files.items() if path and fnmatchcase(name, pattern)}
    first = {name: path.read_text(encoding="utf-8").partition("\n")[0] for name, path in found.items()}
    return [{"name": name, head: line.removeprefix("# ").rstrip(".")} for name, line in first.items()]
