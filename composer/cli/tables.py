"""Prints tables, aligned on a terminal and in a pipe, and texts that fit it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from composer.cli.screen import columns, out, print_lines, words
from composer.lines import Part, csv_text, fitting, markdown_table, table, width, wrapped

# What stands before the text of a line: a section's name, or the indent under it.
_LABEL = re.compile(r"(?:\w+:)?\s+")


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a table on stdout; columns named in `right` are aligned to the right.

    On a terminal, cells are folded between words. The last columns that still do not fit are left out and named.
    """
    limit = columns()
    cells = [[(Part(cell),) for cell in row] for row in rows]
    numbers = [head in right for head in heads]
    count = len(heads) if limit is None else fitting(heads, cells, numbers, limit)
    print_lines(table(heads[:count], [row[:count] for row in cells], numbers[:count], limit))
    if left_out := heads[count:]:
        tell_left_out(left_out)


def tell_left_out(names: Sequence[str]) -> None:
    """Print, on stderr, the names of the columns that were left out because the terminal is too narrow."""
    what = "1 column is" if len(names) == 1 else f"{len(names)} columns are"
    words(f"{what} left out, {', '.join(names)}: a wider terminal, a pipe and --format json show them")


def print_markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print a table on stdout in Markdown; columns named in `right` are aligned to the right."""
    cells = [[cell.replace("|", "&#124;") for cell in row] for row in rows]
    out(markdown_table(heads, cells, [head in right for head in heads]))


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows with equal keys on stdout as comma-separated values, after a line of keys."""
    out(csv_text([*rows[0]], [row.values() for row in rows]))


def fitted(text: str) -> Iterator[str]:
    """The lines of a text, wrapped at words where a terminal is narrower; what goes on is indented as its text."""
    room = columns()
    for line in text.splitlines():
        if room is None or width([Part(line)]) <= room:
            yield line
            continue
        label = _LABEL.match(line)
        head = label[0] if label else ""
        first, *others = wrapped(line[len(head) :], room - len(head))
        yield head + first
        yield from (" " * len(head) + other for other in others)


def prose(text: str) -> None:
    """Print sentences on stdout, wrapped at words where a terminal is narrower."""
    out("\n".join(fitted(text)))
