"""The pieces of a printed figure and their places, in units of which 12 are 7 pt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from composer.draw.legend import Entry
from composer.draw.picture import Inserted
from composer.draw.printed.columns import Column
from composer.draw.printed.legend import height as legend_height
from composer.draw.printed.legend import least_width
from composer.draw.printed.metrics import LINE, PrintMetrics
from composer.draw.printed.width import POINTS, Width
from composer.draw.text import PRINT_SIZE
from composer.draw.view import Box, View

# Text of this many pt is as many units as the layout measures it.
TEXT = 7
UNITS = PRINT_SIZE / TEXT
MOST_HEIGHT = int(22 * POINTS["cm"] * UNITS)
MARGIN = 3
GAP = 22


@dataclass(frozen=True)
class Part:
    """The network, as columns, or a block shown by itself, with the frame around it and words above."""

    view: View
    columns: tuple[Column, ...]
    frame: Box | None = None
    caption: tuple[str, ...] = ()

    @property
    def above(self) -> int:
        """The height of the words above."""
        return LINE * len(self.caption) + (3 if self.caption else 0)

    @cached_property
    def shares(self) -> bool:
        """Whether dashed lines between boxes are beside it."""
        return any(box.shares for box in self.view.boxes)


@dataclass(frozen=True)
class Piece:
    """A column of a part in its place: its corner and its size."""

    part: Part
    number: int
    x: int
    y: int
    width: int
    height: int

    @property
    def column(self) -> Column:
        """What it shows."""
        return self.part.columns[self.number]


@dataclass(frozen=True)
class Arrangement:
    """The pieces of a figure in their places, and the legend below them."""

    metrics: PrintMetrics
    pieces: tuple[Piece, ...]
    legend: tuple[Entry, ...]
    rules: tuple[Inserted, ...]

    @cached_property
    def width(self) -> int:
        """The width that it needs."""
        return max([least_width(self.legend), *(piece.x + piece.width for piece in self.pieces)])

    @cached_property
    def bottom(self) -> int:
        """The height without the legend."""
        return max(piece.y + piece.height for piece in self.pieces)

    def height(self, room: int) -> int:
        """The height with a legend of this width."""
        below = legend_height(self.legend, room)
        return self.bottom + (GAP // 2 + below if below else 0)

    def fits(self, room: int) -> bool:
        """Whether it is no wider than this, and no higher than a page, margins included."""
        return self.width <= room and self.height(room) + 2 * MARGIN <= MOST_HEIGHT


def room_in(width: Width) -> int:
    """The units across a figure of this width, without its margins."""
    return int(width.points * UNITS) - 2 * MARGIN
