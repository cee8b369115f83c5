"""Finds a part of a scalar's value in its text: behind quotes, escapes, folded lines and indentation.

YAML changes only white space and escapes in a scalar, so the n-th visible character of the value is the n-th visible
character of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from composer.errors import Location

_ANCHOR = re.compile(r"&[^\s,\[\]{}]+(?:\s+|#[^\n]*)*")
_PLAIN = re.compile(r"\S")
_SINGLE = re.compile(r"''|[^\s']")
_DOUBLE = re.compile(r"\\(?:x.{2}|u.{4}|U.{8}|\s|.)|[^\s\"\\]")
_INVISIBLE = frozenset("tnrvf_NLP \t\r\n")


def locate(location: Location, value: str, offset: int, length: int) -> Location:
    """The location, on one line, of some characters of a scalar's value; the scalar's own if that is unclear."""
    before = _visible(value[:offset])
    inside = _visible(value[offset : offset + length])
    # If something is missing at the end, point just behind the last character.
    first = before if inside else max(0, before - 1)
    found = list(islice(_characters(location), first, before + max(1, inside)))
    if not found:
        return location
    start, end = (found[0][0], found[-1][1]) if inside else (found[0][1], found[0][1] + 1)
    line, column = location.source.position(start)
    last_line, end_column = location.source.position(end)
    if last_line != line:
        end_column = len(location.source.line(line)) + 1
    return replace(location, line=line, column=column, end_column=max(end_column, column + 1))


def _visible(text: str) -> int:
    return sum(not character.isspace() for character in text)


def _characters(location: Location) -> Iterator[tuple[int, int]]:
    """Start and end, in the text, of each visible character of a scalar."""
    text = location.source.text
    start = location.source.index(location.line, location.column)
    if anchor := _ANCHOR.match(text, start):
        start = anchor.end()
    style = text[start : start + 1]
    if style in ("|", ">"):
        start = location.source.index(location.source.position(start)[0] + 1, 1)
    pattern = {"'": _SINGLE, '"': _DOUBLE}.get(style, _PLAIN)
    for match in pattern.finditer(text, start + (pattern is not _PLAIN)):
        if pattern is not _DOUBLE or not _is_space(match.group()):
            yield match.span()


def _is_space(unit: str) -> bool:
    if not unit.startswith("\\"):
        return False
    return chr(int(unit[2:], 16)).isspace() if unit[1] in "xuU" else unit[1] in _INVISIBLE
