"""Tables for people: aligned on a terminal and in a pipe alike."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from composer.lines import Line, plain


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """One table on stdout; columns named in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, head in enumerate(heads):
        last = index == len(heads) - 1
        table.add_column(head, justify="right" if head in right else "left", no_wrap=not last, overflow="fold")
    for row in rows:
        # Text, not markup: a cell may hold brackets.
        table.add_row(*map(Text, row))
    console = Console(highlight=False)
    if not console.is_terminal:
        # A pipe has no width; nothing in it should be cut or wrapped.
        console = Console(highlight=False, width=1000)
    with console.capture() as capture:
        console.print(table)
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def print_markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """One table on stdout in Markdown; columns named in `right` are aligned to the right."""
    lines = [heads, ["---:" if head in right else "---" for head in heads], *rows]
    for line in lines:
        print(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |")


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same keys on stdout as comma-separated values, a line of keys first."""
    writer = csv.DictWriter(sys.stdout, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def magnitude(number: int) -> str:
    """A count in millions, or in billions (G) from one on: 3.50 M, 4.09 G."""
    return f"{number / 1e9:.2f} G" if number >= 1e9 else f"{number / 1e6:.2f} M"


def print_lines(lines: Iterable[Line]) -> None:
    """Lines on stdout: styled on a terminal, plain in a pipe, and cut in neither."""
    console = Console(highlight=False)
    if not console.is_terminal:
        print(plain(lines))
        return
    for line in lines:
        console.print(Text.assemble(*line), soft_wrap=True)
