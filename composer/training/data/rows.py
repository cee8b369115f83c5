"""A CSV file as rows of text that know their place, for messages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from composer.errors import Diagnostic, InputError, Location, Source
from composer.paths import reason

_DELIMITERS = ",\t;|"


@dataclass(frozen=True)
class Rows:
    """The rows of a file below its header.

    source     name and text of the file
    delimiter  what stands between cells
    header     names of the columns, as they are written
    cells      of each row, as many as the header has
    lines      on which each row begins, from 1
    """

    source: Source
    delimiter: str
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def where(self, row: int, column: int | None = None) -> Location:
        """The place of a cell, or of a row; -1 is the header."""
        line = self.lines[row] if row >= 0 else 1
        text = self.source.line(line)
        cells = self.cells[row] if row >= 0 else self.header
        # In a line with quotes, cells are not where their lengths say.
        if column is None or self.delimiter.join(cells) != text:
            return Location(self.source, line, 1, len(text) + 1)
        start = sum(len(cell) + 1 for cell in cells[:column]) + 1
        return Location(self.source, line, start, start + len(cells[column]))

    def fault(self, row: int, column: int | None, text: str, label: str, help: tuple[str, ...] = ()) -> Diagnostic:
        """What is wrong with a cell, or with a row."""
        return Diagnostic("data-row", text, self.where(row, column), label=label, help=help)


def read_rows(path: Path) -> Rows:
    """The rows of a CSV file with a header; the delimiter is the one that the header has most of.

    path  a file in UTF-8

    Empty lines are left out. Raises InputError, with the line, for what is no such file.
    """
    source = Source(str(path), _text(path))
    first = source.line(1)
    if not first.strip():
        raise InputError(Diagnostic("data-row", f"`{path}` has no header", label="names of columns in the first line"))
    delimiter = max(_DELIMITERS, key=lambda one: (first.count(one), one == ","))
    found = list(_parsed(source, delimiter))
    header = tuple(found[0][1])
    InputError.check(_ragged(source, header, found[1:]))
    rows = Rows(
        source, delimiter, header, tuple(tuple(cells) for _, cells in found[1:]), tuple(line for line, _ in found[1:])
    )
    names = [name.strip().lower() for name in header]
    for column, name in enumerate(names):
        if names.index(name) < column:
            raise InputError(rows.fault(-1, column, f"two columns are called `{name}`", "another name"))
    return rows


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except (OSError, MemoryError) as error:
        raise InputError(Diagnostic("data", f"cannot read `{path}`: {reason(error)}", label="a CSV file")) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        location = Location(Source(str(path)), line, 1, 2)
        help = ("save it as UTF-8, which spreadsheets offer as `CSV UTF-8`",)
        text = f"line {line} is not UTF-8: {error.reason}"
        raise InputError(Diagnostic("data-row", text, location, label="text in UTF-8", help=help)) from error


def _parsed(source: Source, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row, but of empty lines."""
    reader = csv.reader(io.StringIO(source.text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        location = Location(source, line, 1, len(source.line(line)) + 1)
        help = ("a quote is closed by another, and written twice within quotes",)
        raise InputError(Diagnostic("data-row", f"the row cannot be read: {error}", location, help=help)) from error


def _ragged(source: Source, header: tuple[str, ...], rows: list[tuple[int, list[str]]]) -> Iterator[Diagnostic]:
    for line, cells in rows:
        if len(cells) != len(header):
            location = Location(source, line, 1, len(source.line(line)) + 1)
            text = f"the row has {len(cells)} cells, and the header {len(header)}"
            help = ("a cell that holds the delimiter must stand in quotes",)
            yield Diagnostic("data-row", text, location, label=f"{len(header)} cells", help=help)
