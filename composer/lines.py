"""Lines of text in rich's styles, and tables made of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import Any, NamedTuple

from rich.cells import cell_len


class Part(NamedTuple):
    """A part of a line in a style of rich."""

    text: str
    style: str = ""


Line = Sequence[Part]
GAP = Part("  ")


def plain(lines: Iterable[Line]) -> str:
    """The lines without their styles."""
    return "\n".join("".join(part.text for part in line).rstrip() for line in lines)


def table(
    heads: Sequence[str], rows: Sequence[Sequence[Line]], right: Sequence[bool], limit: int | None = None
) -> Iterator[Line]:
    """Lines of a table, each column as wide as its widest cell; columns marked in `right` are aligned to the right.

    limit  columns of the terminal: cells of a wider table are folded between words, in the widest columns first;
           columns that are aligned to the right, such as numbers, are not folded
    """
    cells = _with_heads(heads, rows)
    widest = [max(map(width, column)) for column in zip(*cells, strict=True)]
    if limit is not None:
        widest = _narrowed(widest, _least(cells, right), limit)
    for row in cells:
        folded = [_fold(cell, most) for cell, most in zip(row, widest, strict=True)]
        for parts in zip_longest(*folded, fillvalue=()):
            yield _row(parts, widest, right)


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool]) -> str:
    """A table in GitHub's Markdown; cells are already Markdown."""
    lines = [heads, ["---:" if one else "---" for one in right], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def csv_text(heads: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as comma-separated values."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([heads, *rows])
    return file.getvalue().removesuffix("\n")


def fitting(heads: Sequence[str], rows: Sequence[Sequence[Line]], right: Sequence[bool], limit: int) -> int:
    """How many of the first columns fit a terminal with `limit` columns if cells are folded; at least 1."""
    taken = accumulate(_least(_with_heads(heads, rows), right), lambda total, most: total + width([GAP]) + most)
    return max(1, sum(total <= limit for total in taken))


def _with_heads(heads: Sequence[str], rows: Sequence[Sequence[Line]]) -> list[Sequence[Line]]:
    return [[(Part(head, "bold"),) for head in heads], *rows] if any(heads) else [*rows]


def _row(cells: Sequence[Line], widths: Sequence[int], right: Sequence[bool]) -> Line:
    line: list[Part] = []
    for cell, most, to_right in zip(cells, widths, right, strict=True):
        space = Part(" " * (most - width(cell)))
        line += [GAP, space, *cell] if to_right else [GAP, *cell, space]
    # A line has no spaces after its last word.
    return line[1:] if right[-1] else line[1:-1]


def _least(cells: Sequence[Sequence[Line]], right: Sequence[bool]) -> list[int]:
    """The least width of each column: its longest word, or its widest cell if its cells are not folded."""
    columns = zip(zip(*cells, strict=True), right, strict=True)
    return [
        max(width(part) for cell in column for part in ([cell] if whole else _words(cell))) for column, whole in columns
    ]


def _narrowed(widest: Sequence[int], least: Sequence[int], limit: int) -> list[int]:
    """Widths that fit the limit, if the least widths do: all columns wider than a common width are cut to it."""
    room = limit - width([GAP]) * (len(widest) - 1)

    def cut(level: int) -> list[int]:
        return [max(few, min(many, level)) for few, many in zip(least, widest, strict=True)]

    return next((cut(level) for level in range(max(widest), 0, -1) if sum(cut(level)) <= room), cut(1))


def _fold(cell: Line, most: int) -> list[Line]:
    """A cell in lines of whole words, each at most `most` wide unless a word is wider."""
    if width(cell) <= most:
        return [cell]
    lines: list[list[Part]] = []
    for word in _words(cell):
        if lines and width([*lines[-1], Part(" "), *word]) <= most:
            lines[-1] += [Part(" "), *word]
        else:
            lines.append([*word])
    return [*lines]


def wrapped(text: str, most: int) -> list[str]:
    """A text in lines of whole words, each at most `most` columns wide unless a word is wider."""
    return [plain([line]) for line in _fold((Part(text),), most)]


def _words(cell: Line) -> list[list[Part]]:
    """The words of a cell, with their styles; a single empty word for an empty cell."""
    words: list[list[Part]] = [[]]
    for text, style in cell:
        first, *others = text.split(" ")
        words[-1] += [Part(first, style)] if first else []
        words += [[Part(other, style)] if other else [] for other in others]
    return [word for word in words if word] or [[]]


def width(line: Line) -> int:
    """The number of terminal columns that a line takes."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in line)
