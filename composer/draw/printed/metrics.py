"""Sizes of printed boxes, in units of which 12 are 7 pt."""

from __future__ import annotations

from dataclasses import dataclass

from composer.draw import measure
from composer.draw.layout.metrics import Spacing
from composer.draw.printed.words import PAD, Line, lines, plain
from composer.draw.view import Box, View
from composer.visible import visible

LINE = 15
LEAST = 40
PRINT = Spacing(box=12, wire=10, track=7, leave=5, arrive=12)


@dataclass(frozen=True)
class PrintMetrics:
    """Sizes of print, for a layout.

    most     the width at which the words of a box are wrapped
    uniform  whether all closed boxes of a container are equally wide
    shapes   whether there are shapes at the wires
    """

    most: int
    uniform: bool
    shapes: bool = True
    PAD: int = PAD
    ROW: int = LINE + 4
    SHEETS: int = measure.SHEETS
    HEADER: int = LINE + 5
    FRAME: int = 10
    PORT: int = 10
    BESIDE: int = 4
    BELOW: int = 12
    SPACING: Spacing = PRINT

    @property
    def LABEL_ROW(self) -> int:
        """The room under a box for a shape at its wire."""
        return 14 if self.shapes else 0

    def box_width(self, view: View) -> int:
        """The common width of a view's closed boxes; 0 if each has its own."""
        closed = [box for box in view.boxes if box.inner is None]
        return max([LEAST, *map(self.needed_width, closed)]) if self.uniform else 0

    def needed_width(self, box: Box) -> int:
        """The width that all words in a closed box need."""
        return max(line.width for line in lines(box, self.most))

    def own_width(self, box: Box, common: int) -> int:
        """The width of a closed box, with room for the words at its wires."""
        labels = sum(self.label_width(shape) + PAD for shape in box.shapes.values()) if self.shows_shape(box) else 0
        needed = common or max(LEAST, self.needed_width(box))
        return max(needed, 2 * labels if len(box.shapes) < 2 else labels)

    def box_height(self, box: Box) -> int:
        """The height of a closed box."""
        rows = lines(box, self.most)
        return 4 + LINE * len(rows) + (self.SHEETS if box.count > 1 else 0)

    def header_width(self, box: Box) -> int:
        """The width that the head of an open box needs."""
        return self.head(box).width

    def head(self, box: Box) -> Line:
        """The head of an open box: what it is only if there is room, because its content shows it."""
        long = Line(box.label, measure.detail(box), measure.chip(box))
        return long if long.width <= self.most else Line(box.label, copies=long.copies)

    def pill_width(self, name: str) -> int:
        """The width of an input or output of the whole network."""
        return max(LEAST, plain(visible(name)) + 3 * PAD)

    def label_width(self, shape: str) -> int:
        """The width of a shape at a wire."""
        return plain(shape)

    def shows_shape(self, box: Box) -> bool:
        """Whether a box's wires show the shape."""
        return self.shapes and measure.shows_shape(box)
