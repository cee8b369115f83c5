"""A view of a summary as text: a tree for people, Markdown, CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from composer import lines
from composer.amounts import duration, share, size, thousands
from composer.lines import Line, Part, csv_text, markdown_table, table, width
from composer.summary.breakdown import RuleCost
from composer.summary.columns import COLUMNS, Column, shape
from composer.summary.cost import Cost
from composer.summary.rows import Row
from composer.summary.view import Shown, View
from composer.visible import visible

MAX_EDITS = 10


class Guides(NamedTuple):
    """The characters of a tree's branches: beside a row, to a row, to the last row, below the last row."""

    beside: str
    to: str
    to_last: str
    below: str


ASCII = Guides("|  ", "|- ", "`- ", "   ")
DRAWN = Guides("│  ", "├─ ", "└─ ", "   ")


def styled(view: View, guides: Guides, limit: int | None = None) -> Iterator[Line]:
    """The lines of the tree, the totals, and each rule's costs, folded to the width of a terminal."""
    yield from _edits(view)
    yield _title(view)
    yield ()
    yield from _rows(view, guides)
    yield ()
    yield from _totals(view, limit)
    if view.summary.rules:
        yield ()
        yield from _rules(view, limit)
    if view.summary.unknown:
        yield ()
        yield (Part(f"memory is not known: {visible(view.summary.unknown)}"),)


def _edits(view: View) -> Iterator[Line]:
    """Lines on changes made by hand, which stand before all other lines."""
    if not view.summary.edits:
        return
    yield (Part("what follows was composed; by now, of its modules"),)
    for edit in view.summary.edits[:MAX_EDITS]:
        yield (Part(f"  {visible(edit)}"),)
    if (more := len(view.summary.edits) - MAX_EDITS) > 0:
        yield (Part(f"  and {more} more"),)
    yield ()


def fitting(view: View, guides: Guides, limit: int) -> View:
    """The view without its last columns, as many as its table is too wide for a terminal."""
    while len(view.columns) > 1 and max(map(width, _rows(view, guides))) > limit:
        view = replace(view, columns=view.columns[:-1])
    return view


def _title(view: View) -> Line:
    summary = view.summary
    inputs = ", ".join(shape(tensor) for tensor in summary.inputs.values())
    only = {name: " (training)" if name in summary.training else "" for name in summary.outputs}
    outputs = ", ".join(f"{name} {shape(tensor)}{only[name]}" for name, tensor in summary.outputs.items())
    return Part(visible(summary.name), "bold"), Part(visible(f": {inputs} -> {outputs}"))


def _rows(view: View, guides: Guides) -> Iterator[Line]:
    columns = [COLUMNS[name] for name in view.columns]
    rows = [[_node(line, guides), *_cells(line, view.columns)] for line in view.lines()]
    return table(["node", *(one.head for one in columns)], rows, [False, *(one.number for one in columns)])


def _node(line: Shown, guides: Guides) -> Line:
    around = "".join(guides.below if last else guides.beside for last in line.last[:-1])
    branch = (guides.to_last if line.last[-1] else guides.to) if line.last else ""
    if line.row.rule is None:
        return Part(around + branch, "dim"), Part(visible(line.label))
    return Part(around + branch, "dim"), Part(f"+ {line.label}", "green")


def _cells(line: Shown, names: Sequence[str]) -> Iterator[Line]:
    styles = {"op": "cyan" if line.row.rule is None else "green", "source": "dim"}
    for name in names:
        column = COLUMNS[name]
        yield (Part(visible(column.text(column.value(line.row))), styles.get(name, "")),)


def _totals(view: View, limit: int | None) -> Iterator[Line]:
    cost, plain = view.summary.cost, view.summary.plain
    heads, added = ("parameters", "MACs", "memory"), _growth(cost - plain, plain)
    rows = [
        (head, text, f"({growth} by attention)" if view.summary.rules else "")
        for head, text, growth in zip(heads, _texts(cost), added, strict=True)
    ]
    if view.summary.root.time is not None:
        rows.append(("time", duration(view.summary.root.time), ""))
    return table(("", "", ""), [[(Part(text),) for text in row] for row in rows], (False, True, False), limit)


def _rules(view: View, limit: int | None) -> Iterator[Line]:
    rows, count = _rule_rows(view), len(rule_heads_within(view, limit))
    return table(RULE_HEADS[:count], [row[:count] for row in rows], _RULE_RIGHT[:count], limit)


def rule_heads_within(view: View, limit: int | None) -> Sequence[str]:
    """The first columns of what attention added, as many as fit a terminal of this width."""
    if limit is None:
        return RULE_HEADS
    return RULE_HEADS[: lines.fitting(RULE_HEADS, _rule_rows(view), _RULE_RIGHT, limit)]


def _rule_rows(view: View) -> list[list[Line]]:
    return [[(Part(text),) for text in (rule.use, visible(rule.at), *numbers)] for rule, numbers in _added(view)]


RULE_HEADS = ("attention", "at", "places", "parameters", "MACs", "memory")
_RULE_RIGHT = (False, False, True, True, True, True)


def _added(view: View) -> Iterator[tuple[RuleCost, tuple[str, ...]]]:
    """Each rule, with its number of places and the cost that it added, as texts."""
    for rule in view.summary.rules:
        yield rule, (thousands(len(rule.paths)), *_growth(rule.cost, view.summary.plain))


def _texts(cost: Cost, *, signed: bool = False) -> tuple[str, str, str]:
    parameters, macs = (thousands(number, signed=signed) for number in (cost.parameters, cost.macs))
    return parameters, macs, size(cost.memory, signed=signed)


def _growth(added: Cost, plain: Cost) -> Iterator[str]:
    """The added cost, absolute and in percent."""
    parts = ((added.parameters, plain.parameters), (added.macs, plain.macs), (added.memory, plain.memory))
    for text, (part, whole) in zip(_texts(added, signed=True), parts, strict=True):
        yield text if part is None or whole is None else f"{text}, {share(part, whole)}"


def markdown(view: View) -> str:
    """The rows and the rules as tables of GitHub's Markdown; a node's name includes those above it."""
    columns = [COLUMNS[name] for name in view.columns]
    rows = [[_code(line.path), *(_markdown_cell(column, line.row) for column in columns)] for line in view.lines()]
    text = markdown_table(["node", *(one.head for one in columns)], rows, [False, *(one.number for one in columns)])
    if not view.summary.rules:
        return text
    rules = [[_code(rule.use), _code(rule.at), *numbers] for rule, numbers in _added(view)]
    return f"{text}\n\n{markdown_table(RULE_HEADS, rules, _RULE_RIGHT)}"


def _markdown_cell(column: Column, row: Row) -> str:
    text = column.text(column.value(row))
    return text if column.number else _code(text)


def _code(text: str) -> str:
    """Text as Markdown code, with nothing in it read as Markdown."""
    text = visible(text)
    if not text:
        return ""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def csv(view: View) -> str:
    """The rows as comma-separated values: a node's name with those above it, its depth, then the columns."""
    rows = [
        [line.path, len(line.last), *(COLUMNS[name].value(line.row) for name in view.columns)] for line in view.lines()
    ]
    return csv_text(["node", "depth", *view.columns], rows)
