"""Tables for people: aligned on a terminal and in a pipe alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def print_lines(lines: Iterable[Line]) -> None:
    """Lines on stdout: styled on a terminal, plain in a pipe, and cut in neither."""
    console = Console(highlight=False)
    if not console.is_terminal:
        print(plain(lines))
        return
    for line in lines:
        console.print(Text.assemble(*line), soft_wrap=True)
