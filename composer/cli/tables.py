"""Tables for people: aligned on a terminal and in a pipe alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


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


def thousands(number: int, *, signed: bool = False) -> str:
    """A count as people read it: 1,234,567."""
    return f"{number:+,}" if signed else f"{number:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent."""
    return f"{100 * part / whole:+.2f} %" if whole else "–"
