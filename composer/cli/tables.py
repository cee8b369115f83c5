"""Tables for people: aligned on a terminal and in a pipe alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from composer.cli.screen import columns, out, print_lines, words
from composer.lines import Part, fitting, table


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """One table on stdout; columns named in `right` are aligned to the right.

    On a terminal, cells are folded between words, and the last columns that still do not fit are left out, by name.
    """
    limit = columns()
    cells = [[(Part(cell),) for cell in row] for row in rows]
    numbers = [head in right for head in heads]
    count = len(heads) if limit is None else fitting(heads, cells, numbers, limit)
    print_lines(table(heads[:count], [row[:count] for row in cells], numbers[:count], limit))
    if left_out := heads[count:]:
        tell_left_out(left_out)


def tell_left_out(names: Sequence[str]) -> None:
    """Say which columns of a table a terminal is too narrow for: what is missing is never missing in silence."""
    what = "1 column is" if len(names) == 1 else f"{len(names)} columns are"
    words(f"{what} left out, {', '.join(names)}: a wider terminal, a pipe and --format json show them")


def print_markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """One table on stdout in Markdown; columns named in `right` are aligned to the right."""
    lines = [heads, ["---:" if head in right else "---" for head in heads], *rows]
    for line in lines:
        out(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |")


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same keys on stdout as comma-separated values, a line of keys first."""
    file = io.StringIO()
    writer = csv.DictWriter(file, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    out(file.getvalue(), end="")


def magnitude(number: int | None) -> str:
    """A count in millions, or in billions (G) from one on: 3.50 M, 4.09 G; `unknown` where it is None."""
    if number is None:
        return "unknown"
    return f"{number / 1e9:.2f} G" if number >= 1e9 else f"{number / 1e6:.2f} M"
