"""The legend of a printed figure: each rule's number and mechanism, and the marks that the figure uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from composer.draw.legend import Entry
from composer.draw.markup import element, moved, rectangle, text
from composer.draw.printed.metrics import LINE
from composer.draw.printed.words import plain, wrapped

SWATCH = 20
BETWEEN = 14


@dataclass(frozen=True)
class _Key:
    """An entry of the legend: its corner, and its words line by line."""

    entry: Entry
    x: int
    y: int
    lines: tuple[str, ...]


def indent(entry: Entry) -> int:
    """How far right of its sign the words of an entry begin."""
    return SWATCH + (12 if entry.kind == "inserted" else 6)


def _placed(shown: Sequence[Entry], room: int) -> tuple[list[_Key], int]:
    """The entries in rows of this width, and their height; an entry that is wider has its own lines."""
    found: list[_Key] = []
    x = y = 0
    for entry in shown:
        need = indent(entry) + plain(entry.words)
        if x and x + need > room:
            x, y = 0, y + LINE
        if need > room:
            lines = tuple(wrapped(entry.words, room - indent(entry)))
            found.append(_Key(entry, 0, y, lines))
            x, y = 0, y + LINE * len(lines)
            continue
        found.append(_Key(entry, x, y, (entry.words,)))
        x += need + BETWEEN
    return found, y + (LINE if x else 0)


def least_width(shown: Sequence[Entry]) -> int:
    """The width below which a word of the legend has no room."""
    return max((indent(one) + plain(word) for one in shown for word in one.words.split()), default=0)


def keys(shown: Sequence[Entry], room: int) -> Iterator[str]:
    """The legend in rows of this width as SVG."""
    for key in _placed(shown, room)[0]:
        yield moved(key.x, key.y, _drawn(key))


def height(shown: Sequence[Entry], room: int) -> int:
    """The height of the legend in rows of this width."""
    return _placed(shown, room)[1]


def _drawn(key: _Key) -> Iterator[str]:
    entry = key.entry
    if entry.kind:
        yield element("g", {"class": entry.kind}, [rectangle(0, 2, SWATCH, LINE - 4, "box", 3)])
    if entry.kind == "inserted":
        yield element("circle", {"cx": SWATCH - 1, "cy": 7, "r": 7, "class": "pill"})
        yield text(entry.number, SWATCH - 1, 11, "name on mid")
    elif entry.number:
        yield text(entry.number, 0, 12, "name")
    for row, line in enumerate(key.lines):
        yield text(line, indent(entry), 12 + LINE * row, "print")
