"""Horizontal positions of items: straight columns first, then each column in the middle of the items it is wired to."""

from __future__ import annotations

from collections.abc import Sequence

from composer.draw.layout.order import Arrangement
from composer.draw.layout.packing import MOST_MOVES, Columns, Distances, Gap, Pins, pack

# Columns settle in a few rounds; huge pictures get fewer rounds, because they would take too long.
ROUNDS = 16


def place_columns(arrangement: Arrangement, pins: Pins, gap: Gap) -> list[int]:
    """The left edge of every item and bend; neighbours a, b in a layer are at least `gap(a, b)` apart."""
    packed = pack(arrangement, pins, gap)
    columns, x = packed.columns, packed.x
    _settle(x, packed.order, packed.before, packed.after, _pulls(arrangement, pins, columns))
    left = [x[column] + offset for column, offset in zip(columns.column, columns.offset, strict=True)]
    first = min(left, default=0)
    return [one - first for one in left]


def _pulls(arrangement: Arrangement, pins: Pins, columns: Columns) -> list[list[tuple[int, int]]]:
    """Per column, the columns wired to it, and how far right of their origin its own makes the wire straight."""
    pulls: list[list[tuple[int, int]]] = [[] for _ in range(columns.count)]
    for steps in arrangement.steps:
        for step in steps:
            one, other = columns.column[step.source], columns.column[step.target]
            if one != other:
                out = columns.offset[step.source] + pins.bottom(step.source, arrangement.output_of(step))
                into = columns.offset[step.target] + pins.top(step.target, step.feeds)
                pulls[one].append((other, into - out))
                pulls[other].append((one, out - into))
    return pulls


def _settle(
    x: list[int],
    order: Sequence[int],
    before: Distances,
    after: Distances,
    pulls: Sequence[Sequence[tuple[int, int]]],
) -> None:
    """Move each column to the median of the positions that its wires want, as far as its neighbours leave room."""
    waiting = [bool(some) for some in pulls]
    for _ in range(min(ROUNDS, MOST_MOVES // max(1, len(order)))):
        if not any(waiting):
            break
        for one in (*reversed(order), *order):
            if not waiting[one]:
                continue
            waiting[one] = False
            wanted = sorted([x[other] + shift for other, shift in pulls[one]])
            middle = (wanted[(len(wanted) - 1) // 2] + wanted[len(wanted) // 2]) // 2
            for other, apart in after[one].items():
                middle = min(middle, x[other] - apart)
            for other, apart in before[one].items():
                middle = max(middle, x[other] + apart)
            if middle != x[one]:
                x[one] = middle
                for other in (*after[one], *before[one], *(end for end, _ in pulls[one])):
                    waiting[other] = bool(pulls[other])
