"""Positions as editors count them: lines from 0, and columns in code units of an encoding."""

from __future__ import annotations

from composer.errors import Location, Source

# Encoding -> bytes of a code unit, and Python's name of the encoding.
_UNITS = {"utf-8": (1, "utf-8"), "utf-16": (2, "utf-16-le"), "utf-32": (4, "utf-32-le")}


def units(text: str, encoding: str) -> int:
    """The number of code units of a text.

    >>> units("a×\\U0001f600", "utf-16"), units("a×\\U0001f600", "utf-8"), units("a×\\U0001f600", "utf-32")
    (4, 7, 3)
    """
    size, name = _UNITS[encoding]
    return len(text.encode(name, "surrogatepass")) // size


def characters(text: str, count: int, encoding: str) -> int:
    """The number of characters of a text before a number of code units; all for a larger number.

    >>> characters("a\\U0001f600b", 3, "utf-16")
    2
    """
    done = 0
    for index, character in enumerate(text):
        if done >= count:
            return index
        done += units(character, encoding)
    return len(text)


def index_of(source: Source, line: int, column: int, encoding: str) -> int:
    """The number of characters of a text before a line and column of an editor, both from 0."""
    return source.index(line + 1, characters(source.line(line + 1), column, encoding) + 1)


def ends_of(location: Location, encoding: str) -> tuple[int, int, int]:
    """A stretch of a line as an editor has it: line, first column and the one behind the last, all from 0."""
    text = location.source.line(location.line)
    start, end = (units(text[: column - 1], encoding) for column in (location.column, location.end_column))
    return location.line - 1, start, max(start, end)
