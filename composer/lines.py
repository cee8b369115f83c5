"""Lines of text with rich's styles, the same on a terminal, in a pipe and in Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len


class Part(NamedTuple):
    """A stretch of a line in one of rich's styles."""

    text: str
    style: str = ""


Line = Sequence[Part]
GAP = Part("  ")


def plain(lines: Iterable[Line]) -> str:
    """The lines without their styles."""
    return "\n".join("".join(part.text for part in line).rstrip() for line in lines)


def table(heads: Sequence[str], rows: Sequence[Sequence[Line]], right: Sequence[bool]) -> Iterator[Line]:
    """Lines of a table, each column as wide as its widest cell; those marked in `right` are aligned to the right."""
    cells = [[(Part(head, "bold"),) for head in heads], *rows] if any(heads) else [*rows]
    widths = [[width(cell) for cell in row] for row in cells]
    widest = [max(column) for column in zip(*widths, strict=True)]
    for row, own in zip(cells, widths, strict=True):
        line: list[Part] = []
        for cell, taken, most, to_right in zip(row, own, widest, right, strict=True):
            space = Part(" " * (most - taken))
            line += [GAP, space, *cell] if to_right else [GAP, *cell, space]
        yield line[1:]


def width(line: Line) -> int:
    """How many columns of a terminal a line takes."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in line)


def printable(text: str) -> str:
    """Text that cannot move a terminal's cursor, hide or break its line."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def thousands(number: int, *, signed: bool = False) -> str:
    """A count as people read it: 1,234,567."""
    return f"{number:+,}" if signed else f"{number:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent."""
    return f"{100 * part / whole:+.2f} %" if whole else "–"
