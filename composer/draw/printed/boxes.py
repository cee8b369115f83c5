"""Boxes, frames and columns of a printed figure as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from composer.draw.boxes import about, path, shared, sheets, tooltip, wires
from composer.draw.layout import Layout, Placed
from composer.draw.markup import element, moved, rectangle, text, title
from composer.draw.printed.arrangement import Piece
from composer.draw.printed.columns import connections
from composer.draw.printed.metrics import LINE, PrintMetrics
from composer.draw.printed.words import BETWEEN, PAD, PILL_GAP, Line, bold, lines, pill_length
from composer.draw.view import Box, View

# The base line of a box's first line, and of the text of a pill or badge from its middle.
BASELINE = 13
MIDDLE = 4
BADGE = 8


@dataclass(frozen=True)
class PrintedBoxes:
    """Draws boxes of these sizes."""

    metrics: PrintMetrics

    def pieces(self, pieces: Sequence[Piece]) -> Iterator[str]:
        """The columns of the network and the blocks beside it, and the wires from column to column."""
        for piece in pieces:
            yield moved(piece.x, piece.y, self.piece(piece))
        for before, after in pairwise(pieces):
            if before.column.leaves:
                start, end = (before.x, before.y + before.part.above), (after.x, after.y + after.part.above)
                for points in connections(before.column, after.column, start, end):
                    yield element("path", {"class": "wire", "d": path(points, 0)})

    def piece(self, piece: Piece) -> Iterator[str]:
        """A column of the network, or a block in its frame with the words above."""
        part, column = piece.part, piece.column
        for row, line in enumerate(part.caption):
            yield text(line, 0, BASELINE - 2 + LINE * row, "print faint")
        if part.frame is None:
            yield moved(0, column.head, self.container(part.view, column.layout))
        else:
            yield moved(0, part.above, self.frame(part.frame, part.view, column.layout), about(part.frame))

    def container(self, view: View, layout: Layout) -> Iterator[str]:
        """Wires below, boxes above."""
        yield element("g", {"class": "wires"}, wires(layout, "print faint"))
        for placed in layout.boxes:
            box = view.by_name.get(placed.name)
            if box is None:
                yield _end(placed, view.inputs.get(placed.name.partition(":")[2], ""))
            elif placed.inside is not None and box.inner is not None:
                yield moved(placed.x, placed.y, self.frame(box, box.inner, placed.inside), about(box))
            else:
                yield moved(placed.x, placed.y, self.closed(box, placed), about(box))
        names = {placed.name for placed in layout.boxes}
        if names >= {box.name for box in view.boxes}:
            yield from shared(view, layout)

    def frame(self, box: Box, view: View, layout: Layout) -> Iterator[str]:
        """An open block: its frame, its head, and its content."""
        yield title(tooltip(box))
        yield from sheets(box, layout.width, layout.height)
        yield rectangle(0, 0, layout.width, layout.height, "box", 5)
        yield from _line(self.metrics.head(box), layout.width, BASELINE + 1)
        yield from self.container(view, layout)

    def closed(self, box: Box, placed: Placed) -> Iterator[str]:
        """An operation, or a closed block."""
        below = self.metrics.SHEETS if box.count > 1 else 0
        yield title(tooltip(box))
        yield from sheets(box, placed.width, placed.height - below)
        yield rectangle(0, 0, placed.width, placed.height - below, "box", 3)
        for row, line in enumerate(lines(box, self.metrics.most)):
            yield from _line(line, placed.width, BASELINE + LINE * row + 1)
        if box.rule is not None:
            yield from badge(str(box.rule + 1), placed.width - 2, 1)


def badge(number: str, x: int, y: int) -> Iterator[str]:
    """The number of a rule on a disc."""
    yield element("circle", {"cx": x, "cy": y, "r": BADGE, "class": "pill"})
    yield text(number, x, y + MIDDLE, "name on mid")


def _line(line: Line, room: int, y: int) -> Iterator[str]:
    """A line of a box this wide: in the middle if it is all words, else from edge to edge."""
    x = PAD
    for pill in line.pills:
        length = pill_length(pill)
        yield rectangle(x, y - 11, length, LINE - 1, "pill", 7)
        yield text(pill, x + length // 2, y, "name on mid")
        x += length + PILL_GAP
    if line.name:
        yield text(line.name, x, y, "name")
        x += bold(line.name) + BETWEEN
    if line.words:
        yield text(line.words, x, y, "print faint")
    if line.copies:
        yield text(line.copies, room - PAD - line.free, y, "name end")


def _end(placed: Placed, shape: str) -> str:
    """An input or output of the whole network."""
    side, _, name = placed.name.partition(":")
    what = f"input `{name}`: {shape}" if side == "in" else f"output `{name}`"
    children = [
        title(what),
        rectangle(0, 0, placed.width, placed.height, "box", placed.height // 2),
        text(name, placed.width // 2, placed.height // 2 + MIDDLE, "print mid"),
    ]
    return moved(placed.x, placed.y, children, {"class": "k-other", "data-path": placed.name})
