"""Sizes of closed boxes, and of the words around them."""

from __future__ import annotations

from composer.amounts import three_figures
from composer.draw.layout.metrics import SCREEN
from composer.draw.text import width, wrap
from composer.draw.view import Box, View
from composer.visible import visible

NAME_SIZE = 12.0
DETAIL_SIZE = 11.0
LABEL_SIZE = 10.0
PROBLEM_SIZE = 10.0

PAD = 9
# Between a name and its operation: enough even if the reader's font is wider than the measured one.
BETWEEN = 24
ROW = 24
SECOND_ROW = 15
LINE = 13
HEADER = 24
FRAME = 16
# Copies are drawn as two sheets under their box.
SHEETS = 6
LEAST, MOST = 104, 250
PROBLEM_LINES = 3
LABEL_ROW = 13
# The start of a label's base line, relative to the start of its wire.
BESIDE, BELOW = 5, 11
# The room per wire on the edge of a frame.
PORT = 12
PILL_GAP = 4
SPACING = SCREEN


def box_width(view: View) -> int:
    """The common width of a view's closed boxes."""
    closed = [box for box in view.boxes if box.inner is None]
    return max(LEAST, min(MOST, max(map(needed_width, closed), default=0)))


def needed_width(box: Box) -> int:
    """The width that all words in a closed box need."""
    return max(_words(box), _second_row(box, [pill(*held) for held in box.holds]))


def own_width(box: Box, common: int) -> int:
    """The width of a closed box: the common width, or more if the words at its wires or its inputs need it."""
    labels = sum(label_width(shape) + PAD for shape in box.shapes.values())
    return max(common, 2 * labels if len(box.shapes) < 2 else labels, MOST if box.problem else 0)


def box_height(box: Box) -> int:
    """The height of a closed box."""
    rows = ROW + (SECOND_ROW if second_row(box) else 0) + LINE * len(problem_lines(box))
    return rows + (SHEETS if box.count > 1 else 0) + (4 if problem_lines(box) else 0)


def second_row(box: Box) -> str:
    """The text under the name of a closed block."""
    if box.kind != "block" or box.state != "made":
        return ""
    return f"{three_figures(box.num_parameters)} parameters"


def detail(box: Box) -> str:
    """The text beside the name: the operation, unless it equals the name."""
    return box.detail if box.detail != box.name else ""


def pill(rule: int, mechanism: str, count: int) -> str:
    """The text for a rule's insertions in a closed block."""
    return f"{rule + 1} · {mechanism}" + (f" ×{count}" if count > 1 else "")


def pills(box: Box, room: int) -> list[str]:
    """The texts for each rule's insertions in a closed block that fit into its room; `+2` for two that do not fit."""
    every = [pill(*held) for held in box.holds]
    for shown in range(len(every), -1, -1):
        some = every[:shown] + ([f"+{len(every) - shown}"] if shown < len(every) else [])
        if _second_row(box, some) <= room:
            return some
    return []


def pill_length(words: str) -> int:
    """The length of a pill with these words."""
    return width(words, LABEL_SIZE, bold=True) + 14


def problem_lines(box: Box) -> list[str]:
    """A box's problem in a few lines."""
    if box.problem is None:
        return []
    return wrap(visible(box.problem.message), PROBLEM_SIZE, MOST - 2 * PAD, PROBLEM_LINES)


def header_width(box: Box) -> int:
    """The width that the head of an open box needs."""
    return min(MOST, _words(box))


def pill_width(name: str) -> int:
    """The width of an input or output of the whole network."""
    return max(64, min(MOST, width(visible(name), NAME_SIZE) + 3 * PAD))


def label_width(shape: str) -> int:
    """The width of a shape at a wire."""
    return width(shape, LABEL_SIZE)


def shows_shape(box: Box) -> bool:
    """Whether a box's wires show the shape: if the box changes it, and for every block."""
    return box.changed or box.kind == "block"


def chip(box: Box) -> str:
    """The number of copies that a box stands for, as text."""
    return f"×{box.count}" if box.count > 1 else ""


def _second_row(box: Box, words: list[str]) -> int:
    """The width that the second row of a closed block needs with these pills."""
    return 2 * PAD + width(second_row(box), DETAIL_SIZE) + 8 + sum(pill_length(one) + PILL_GAP for one in words)


def _words(box: Box) -> int:
    name = width(box.label, NAME_SIZE, bold=True)
    words, copies = detail(box), chip(box)
    name += width(words, DETAIL_SIZE) + BETWEEN if words else 0
    return 2 * PAD + name + (width(copies, NAME_SIZE, bold=True) + 8 if copies else 0)
