"""The words of a printed box, line by line. All words have one size, and none is shortened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from composer.draw import measure
from composer.draw.text import PRINT_SIZE, width
from composer.draw.view import Box

PAD = 6
# Between a name and the words beside it, and between what shares a line with them.
BETWEEN = 8
PILL_GAP = 4
PILL_PAD = 12
# So far a badge reaches into the room of a box's first line.
BADGE_ROOM = 6


@dataclass(frozen=True)
class Line:
    """A line of a box: a name in bold, words behind it, the number of copies at the right end; or pills.

    free  room that stays empty at the right end, below a badge
    """

    name: str = ""
    words: str = ""
    copies: str = ""
    pills: tuple[str, ...] = ()
    free: int = 0

    @property
    def width(self) -> int:
        """The width of the line with the room on both sides."""
        parts = [bold(part) for part in (self.name, self.copies) if part]
        parts += [plain(self.words)] if self.words else []
        pills = sum(map(pill_length, self.pills)) + PILL_GAP * max(0, len(self.pills) - 1)
        return 2 * PAD + self.free + sum(parts) + BETWEEN * max(0, len(parts) - 1) + pills


def plain(words: str) -> int:
    """The width of words."""
    return width(words, PRINT_SIZE)


def bold(words: str) -> int:
    """The width of words in bold."""
    return width(words, PRINT_SIZE, bold=True)


def pill_length(words: str) -> int:
    """The length of a pill with these words."""
    return bold(words) + PILL_PAD


def lines(box: Box, most: int) -> list[Line]:
    """The lines of a closed box, wrapped at a width where words allow it."""
    free = 0 if box.rule is None else BADGE_ROOM
    head = Line(box.label, measure.detail(box), measure.chip(box), free=free)
    found = [head]
    if head.width > most and head.words:
        found = [Line(head.name, copies=head.copies, free=free)]
        found += [Line(words=line) for line in wrapped(head.words, most - 2 * PAD)]
    pills = [measure.pill(*held) for held in box.holds] if box.kind == "block" else []
    return found + [Line(pills=row) for row in _rows(pills, most)]


def wrapped(text: str, limit: int) -> list[str]:
    """The text in lines of this width; a word that is wider has a line of its own."""
    found: list[str] = []
    for word in text.split():
        if found and plain(f"{found[-1]} {word}") <= limit:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def _rows(pills: Sequence[str], most: int) -> Iterator[tuple[str, ...]]:
    row: tuple[str, ...] = ()
    for pill in pills:
        if row and Line(pills=(*row, pill)).width > most:
            yield row
            row = ()
        row = (*row, pill)
    if row:
        yield row
