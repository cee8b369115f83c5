"""A difference as lines for people, with a line per kind of change."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from composer.amounts import share, thousands
from composer.dag.macs import growth, total
from composer.difference.change import Change, Kind, NodePath
from composer.difference.comparison import Comparison
from composer.difference.labels import label
from composer.lines import Line, Part, fitting, table
from composer.visible import visible

SIGNS = {"removed": ("-", "red"), "added": ("+", "green"), "moved": (">", "blue"), "changed": ("~", "yellow")}
MAX_NAMED = 3
HEADS = ("", "nodes", "operation", "×", "what", "parameters", "MACs")
RIGHT = (False, False, False, True, False, True, True)


@dataclass(frozen=True)
class Told:
    """Changes of the same kind, in words: the nodes, what they are, what changed, and how the totals changed."""

    changes: Sequence[Change]
    nodes: str
    operation: str
    what: str
    parameters: int
    macs: int | None

    @property
    def kind(self) -> Kind:
        """The kind of all these changes."""
        return self.changes[0].kind


def told(difference: Comparison) -> list[Told]:
    """The changes, grouped by kind."""
    return [_told(group, difference) for group in _sorts(difference.changes)]


def styled(difference: Comparison, limit: int | None = None) -> Iterator[Line]:
    """The networks, their changes, and the totals of both; changes are folded to the width of a terminal."""
    names = f"{difference.before.spec.name} -> {difference.after.spec.name}"
    yield (Part(visible(names), "bold"),)
    yield ()
    rows, count = _rows(difference), len(heads_within(difference, limit))
    yield from table(HEADS[:count], [row[:count] for row in rows], RIGHT[:count], limit)
    yield ()
    yield from _totals(difference, limit)


def heads_within(difference: Comparison, limit: int | None) -> Sequence[str]:
    """The first columns of the changes, as many as fit a terminal of this width."""
    return HEADS if limit is None else HEADS[: fitting(HEADS, _rows(difference), RIGHT, limit)]


def _rows(difference: Comparison) -> list[list[Line]]:
    return [_row(one) for one in told(difference)]


def _sorts(changes: Iterable[Change]) -> Iterable[list[Change]]:
    """The changes, grouped by the line that tells them."""
    found: defaultdict[Any, list[Change]] = defaultdict(list)
    for change in changes:
        key = _stem(change.before), _stem(change.after), change.op, _details(change)
        # Nodes where only shapes changed share a line: nobody wants to read every name.
        found[change.kind, "shapes" if _only_shapes(change) else key].append(change)
    return found.values()


def _only_shapes(change: Change) -> bool:
    return change.kind == "changed" and change.details.keys() <= {"input", "output"} and change.op != "input"


def _stem(path: NodePath | None) -> str | None:
    """The name without its numbers: `cbam` and `cbam_2` have the same stem, and so do `at1_se` and `at4_se`."""
    return path and re.sub(r"_?[0-9]+(?=_|$)", "", path.rpartition(".")[2])


def _own_name(path: NodePath) -> str:
    """The last name of a path; if it is only a number, with the name before it."""
    outer, _, name = path.rpartition(".")
    return f"{outer.rpartition('.')[2]}.{name}" if outer and name.isdigit() else name


def _details(change: Change) -> tuple[str, ...]:
    """The changes in words, without shapes, which differ from place to place."""
    if change.op == "output":
        return (" -> ".join(path for paths in change.details["from"] for path in paths),)
    return tuple(_detail(name, *values) for name, values in change.details.items() if name not in ("input", "output"))


def _detail(name: str, before: Any, after: Any) -> str:
    if name == "from":
        before, after = (", ".join(map(_own_name, paths)) for paths in (before, after))
        return f"fed by {before or 'nothing'} -> {after or 'nothing'}"
    if name.startswith("options."):
        before, after = (json.dumps(value, ensure_ascii=False, default=str) for value in (before, after))
    return f"{before} -> {after}" if name == "op" else f"{name.removeprefix('options.')} {before} -> {after}"


def _told(group: Sequence[Change], difference: Comparison) -> Told:
    ops = list(dict.fromkeys(change.op for change in group))
    parameters = sum(after - before for before, after in (change.parameters for change in group))
    macs = total(growth(after, before) for before, after in (change.macs for change in group))
    return Told(group, visible(_nodes(group, difference)), _few(ops), visible(_what(group)), parameters, macs)


def _row(one: Told) -> list[Line]:
    sign, style = SIGNS[one.kind]
    count = len(one.changes)
    return [
        (Part(sign, style),),
        (Part(one.nodes, style),),
        (Part(one.operation, "cyan"),),
        (Part(thousands(count) if count > 1 else ""),),
        (Part(one.what),),
        (Part(_signed(one.parameters)),),
        (Part(_signed(one.macs)),),
    ]


def _nodes(group: Sequence[Change], difference: Comparison) -> str:
    before = [change.before for change in group if change.before is not None]
    after = [change.after for change in group if change.after is not None]
    then = label(before, difference.before.root) if before else ""
    now = label(after, difference.after.root) if after else ""
    return f"{then} -> {now}" if then and now and before != after else now or then


def _what(group: Sequence[Change]) -> str:
    first = group[0]
    if first.op == "input":
        return " -> ".join(first.details.get("output", ()))
    if first.kind in ("added", "removed") and first.op != "output":
        sources = list(dict.fromkeys(_own_name(path) for change in group for path in change.sources[:1]))
        return f"{'after' if first.kind == 'added' else 'was after'} {_few(sources)}" if sources else ""
    shapes = {
        name: [change.details[name] for change in group if name in change.details] for name in ("input", "output")
    }
    told = [*_details(first)]
    for name in ("output", "input"):
        if shapes[name] and not (name == "input" and shapes["output"]):
            told.append(_detail(name, *shapes[name][0]) + (" …" if len(set(shapes[name])) > 1 else ""))
    return "; ".join(told)


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:MAX_NAMED], "…"] if len(names) > MAX_NAMED else names)


def _signed(number: int | None) -> str:
    return "" if number == 0 else thousands(number, signed=True)


def _totals(difference: Comparison, limit: int | None) -> Iterator[Line]:
    rows = []
    for name, before, after in difference.totals:
        grown = growth(after, before)
        cells = (name, thousands(before), thousands(after), _signed(grown), share(grown, before) if grown else "")
        rows.append([(Part(cell),) for cell in cells])
    heads, right = ("", "before", "after", "", ""), (False, True, True, True, True)
    # Where it does not fit, the share is left out: the numbers say it.
    count = len(heads) if limit is None else fitting(heads, rows, right, limit)
    return table(heads[:count], [row[:count] for row in rows], right[:count], limit)
