"""Which rows and columns of a summary are shown, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.summary.breakdown import Breakdown
from composer.summary.columns import COLUMNS, USUAL
from composer.summary.names import ranges
from composer.summary.rows import Row

MAX_LINES = 60

ORDERS: Mapping[str, Callable[[Row], float]] = {
    "order": lambda row: 0,
    "parameters": lambda row: -row.cost.parameters,
    "macs": lambda row: -(row.cost.macs or 0),
    "memory": lambda row: -(row.cost.memory or 0),
    "time": lambda row: -(row.time or 0.0),
}


@dataclass(frozen=True)
class Shown:
    """A row in the table.

    label  its nodes in few words; `path` adds those of the rows above
    last   whether it, and each row above it, is the last of its list, the outermost first; empty for the network
    """

    row: Row
    label: str
    path: str
    last: tuple[bool, ...]


@dataclass(frozen=True, repr=False)
class View:
    """A summary with a depth, order and columns."""

    summary: Breakdown
    depth: int
    sort: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, summary: Breakdown, depth: int | None, sort: str, columns: Sequence[str] | None) -> Self:
        """The view of a summary; None for the defaults. Raises InputError for an unknown order or column."""
        check_names([sort], ORDERS, "order")
        check_names(columns or (), COLUMNS, "column")
        usual = USUAL if summary.root.time is None else (*USUAL[:-1], "time", USUAL[-1])
        return cls(summary, _fitting(summary.root) if depth is None else depth, sort, tuple(columns or usual))

    def lines(self) -> Iterator[Shown]:
        """The visible rows, the network's own first."""
        root = self.summary.root
        yield Shown(root, root.names[0], root.names[0], ())
        yield from self._below(root, "", ())

    def _below(self, parent: Row, prefix: str, last: tuple[bool, ...]) -> Iterator[Shown]:
        if len(last) >= self.depth:
            return
        rows = sorted(parent.rows, key=ORDERS[self.sort])
        for position, row in enumerate(rows, 1):
            label = ranges(row.names)
            line = Shown(row, label, prefix + label, (*last, position == len(rows)))
            yield line
            yield from self._below(row, f"{line.path}.", line.last)


def deepest(root: Row) -> int:
    """The depth of the deepest row."""
    return max(depth for depth, _ in root.walk())


def _fitting(root: Row) -> int:
    """The greatest depth at which all rows fit on a page, at least 1."""
    counts = Counter(depth for depth, _ in root.walk())
    total, fitting = 0, 1
    for depth in sorted(counts):
        total += counts[depth]
        if total > MAX_LINES:
            break
        fitting = max(fitting, depth)
    return fitting


def check_names(names: Iterable[str], known: Iterable[str], code: str) -> None:
    """Raises InputError for a name that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, f"there are {one_of(known)}")
            raise InputError(Diagnostic(code, f"unknown {code} `{name}`", help=hint))
