"""What the colours, numbers and marks of a picture mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from composer.amounts import plural
from composer.draw import measure
from composer.draw.boxes import badge
from composer.draw.flow import flow
from composer.draw.markup import element, moved, rectangle, text
from composer.draw.picture import Inserted, Picture
from composer.draw.text import width
from composer.draw.theme import GROUP_OF, GROUPS, class_of_group
from composer.draw.tint import Coloured
from composer.draw.view import Box

SWATCH = 22
ROW = 20


@dataclass(frozen=True)
class Entry:
    """A sign and its meaning: the class of a box, or a mark in `number`; `inserted` has its rule's number."""

    kind: str
    words: str
    number: str = ""

    @property
    def told(self) -> str:
        """Its sign and meaning as text, where signs are boxes with words in them."""
        return f"{self.number} · {self.words}" if self.number else self.words


def legend(picture: Picture, room: int, *, coloured: bool) -> tuple[list[str], int, int]:
    """The legend's markup in the room that there is, its width and its height; colours only where kinds have some."""
    boxes = [box for figure in picture.figures for box in figure.view.walk()]
    scale = list(_scale(picture.coloured)) if picture.coloured is not None else []
    shown = [*scale, *entries(picture.rules, boxes, coloured=coloured and not scale)]
    sizes = [(SWATCH + 14 + width(entry.words, measure.DETAIL_SIZE), ROW) for entry in shown]
    corners = flow(sizes, max(room, max((length for length, _ in sizes), default=0)), (18, 0), rows=True)
    drawn = [moved(x, y, _drawn(entry)) for entry, (x, y) in zip(shown, corners, strict=True)]
    right = max((x + length for (x, _), (length, _) in zip(corners, sizes, strict=True)), default=0)
    return drawn, right, max((y + ROW for _, y in corners), default=0)


def _scale(coloured: Coloured) -> Iterator[Entry]:
    yield Entry("", coloured.words)
    for look, amount in coloured.swatches:
        yield Entry(f"k-other {look}", amount)


def entries(rules: Sequence[Inserted], boxes: Sequence[Box], *, coloured: bool) -> list[Entry]:
    """What the legend of these boxes says; the colours of kinds only where they have some."""
    return [*(_kinds(boxes) if coloured else ()), *_inserted(rules, boxes), *_states(boxes)]


def _kinds(boxes: Sequence[Box]) -> Iterator[Entry]:
    plain = [box for box in boxes if box.rule is None and box.inner is None and box.state == "made"]
    groups = {GROUP_OF.get(box.kind, "other") for box in plain}
    for group in GROUPS:
        if group in groups:
            words = "attention of the backbone" if group == "attention" else group
            yield Entry(class_of_group(group), words)


def _inserted(rules: Sequence[Inserted], boxes: Sequence[Box]) -> Iterator[Entry]:
    for rule in rules:
        places = plural(rule.num_places, "place")
        yield Entry("inserted", f"{rule.use}: inserted {rule.where}, {places}", str(rule.number))
    if any(box.helper for box in boxes):
        yield Entry("helper", "what inserted attention needs around it")
    if any(box.count > 1 for box in boxes):
        yield Entry("", "so many copies, drawn once", "×N")


def _states(boxes: Sequence[Box]) -> Iterator[Entry]:
    if any(box.state == "failed" or box.problem for box in boxes):
        yield Entry("failed", "has a mistake")
    if any(box.state == "unreached" for box in boxes):
        yield Entry("unreached", "needs a node that has one")


def _drawn(entry: Entry) -> Iterator[str]:
    if entry.kind:
        yield element("g", {"class": entry.kind}, [rectangle(0, 3, SWATCH, 13, "box", 3)])
    if entry.kind == "inserted":
        yield from badge(entry.number, SWATCH - 1, 4, "pill")
    elif entry.number:
        yield text(entry.number, 2, 13, "name")
    yield text(entry.words, SWATCH + (14 if entry.kind == "inserted" else 8), 13)
