"""How large a box is when it is closed, and how large the words are that stand around it."""

from __future__ import annotations

from composer.amounts import three_figures
from composer.draw.text import width, wrap
from composer.draw.view import Box, View
from composer.visible import visible

NAME_SIZE = 12.0
DETAIL_SIZE = 11.0
LABEL_SIZE = 10.0
PROBLEM_SIZE = 10.0

PAD = 9
# Between a name and what it is: enough where the reader's font is wider than the one that is measured.
BETWEEN = 24
ROW = 24
SECOND_ROW = 15
LINE = 13
HEADER = 24
FRAME = 16
# Copies show as two sheets under their box.
SHEETS = 6
LEAST, MOST = 104, 250
PROBLEM_LINES = 3
LABEL_ROW = 13
# Where such a label's base line starts, from where its wire does.
BESIDE, BELOW = 5, 11
# The room on a frame's edge for one of several wires.
PORT = 12
PILL_GAP = 4


def box_width(view: View) -> int:
    """The width that all closed boxes of a view have."""
    closed = [box for box in view.boxes if box.inner is None]
    return max(LEAST, min(MOST, max(map(needed_width, closed), default=0)))


def needed_width(box: Box) -> int:
    """The width at which everything that a closed box says of itself fits into it."""
    return max(_words(box), _second_row(box, [pill(*held) for held in box.holds]))


def own_width(box: Box, common: int) -> int:
    """The width of one closed box: the common one, or what the words at its wires and its many inputs ask for."""
    labels = sum(label_width(shape) + PAD for shape in box.shapes.values())
    return max(common, 2 * labels if len(box.shapes) < 2 else labels, MOST if box.problem else 0)


def box_height(box: Box) -> int:
    """The height of a closed box."""
    rows = ROW + (SECOND_ROW if second_row(box) else 0) + LINE * len(problem_lines(box))
    return rows + (SHEETS if box.count > 1 else 0) + (4 if problem_lines(box) else 0)


def second_row(box: Box) -> str:
    """What stands under the name of a closed block."""
    if box.kind != "block" or box.state != "made":
        return ""
    return f"{three_figures(box.num_parameters)} parameters"


def detail(box: Box) -> str:
    """What stands beside the name: the operation, unless that is the name."""
    words = box.detail if box.detail != box.name else ""
    return visible(words)


def pill(rule: int, mechanism: str, count: int) -> str:
    """What a closed block holds of a rule."""
    return f"{rule + 1} · {mechanism}" + (f" ×{count}" if count > 1 else "")


def pills(box: Box, room: int) -> list[str]:
    """What a closed block holds of each rule, in the room that it has; `+2` for what does not fit."""
    every = [pill(*held) for held in box.holds]
    for shown in range(len(every), -1, -1):
        some = every[:shown] + ([f"+{len(every) - shown}"] if shown < len(every) else [])
        if _second_row(box, some) <= room:
            return some
    return []


def pill_length(words: str) -> int:
    """How long a pill with these words is."""
    return width(words, LABEL_SIZE, bold=True) + 14


def problem_lines(box: Box) -> list[str]:
    """A box's problem in a few lines."""
    if box.problem is None:
        return []
    return wrap(visible(box.problem.message), PROBLEM_SIZE, MOST - 2 * PAD, PROBLEM_LINES)


def header_width(box: Box) -> int:
    """The width that an open box needs for what stands in its head."""
    return min(MOST, _words(box))


def pill_width(name: str) -> int:
    """The width of an input or output of the whole network."""
    return max(64, min(MOST, width(visible(name), NAME_SIZE) + 3 * PAD))


def label_width(shape: str) -> int:
    """The width of a shape at a wire."""
    return width(shape, LABEL_SIZE)


def shows_shape(box: Box) -> bool:
    """Whether the shape stands at a box's wires: where it changes, and behind every block."""
    return box.changed or box.kind == "block"


def chip(box: Box) -> str:
    """How many copies a box stands for."""
    return f"×{box.count}" if box.count > 1 else ""


def _second_row(box: Box, words: list[str]) -> int:
    """The room that a closed block needs for its second row with these pills."""
    return 2 * PAD + width(second_row(box), DETAIL_SIZE) + 8 + sum(pill_length(one) + PILL_GAP for one in words)


def _words(box: Box) -> int:
    name = width(visible(box.label), NAME_SIZE, bold=True)
    words, copies = detail(box), chip(box)
    name += width(words, DETAIL_SIZE) + BETWEEN if words else 0
    return 2 * PAD + name + (width(copies, NAME_SIZE, bold=True) + 8 if copies else 0)
