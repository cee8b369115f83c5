"""Horizontal positions of items: straight columns first, then each column in the middle of the items it is wired to."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from composer.draw.layout.order import Arrangement
from composer.draw.layout.straight import straight_steps

# Columns settle in a few rounds; huge pictures get fewer rounds, because they would take too long.
ROUNDS = 16
MOST_MOVES = 30_000


@dataclass(frozen=True)
class Pins:
    """Where wires touch each item, in pixels from its left edge: in its middle, unless `inputs` or `outputs` has it."""

    width: Sequence[int]
    inputs: Mapping[int, Sequence[int]]
    outputs: Mapping[int, Sequence[int]]

    def top(self, item: int, index: int) -> int:
        """Where the wire of an input touches the item."""
        return self.inputs[item][index] if item in self.inputs else self.width[item] // 2

    def bottom(self, item: int, output: int) -> int:
        """Where the wire of an output touches the item."""
        return self.outputs[item][output] if item in self.outputs else self.width[item] // 2


@dataclass(frozen=True)
class _Columns:
    """The column of each item, and its offset from the column's origin."""

    column: Sequence[int]
    offset: Sequence[int]
    count: int


def place_columns(arrangement: Arrangement, pins: Pins, gap: Callable[[int, int], int]) -> list[int]:
    """The left edge of every item and bend; neighbours a, b in a layer are at least `gap(a, b)` apart."""
    columns = _columns(arrangement, pins)
    before, after = _distances(arrangement, pins, gap, columns)
    order = _left_to_right(before, after)
    x = [0] * columns.count
    for one in order:
        x[one] = max((x[other] + least for other, least in before[one].items()), default=0)
    _settle(x, order, before, after, _pulls(arrangement, pins, columns))
    left = [x[column] + offset for column, offset in zip(columns.column, columns.offset, strict=True)]
    first = min(left, default=0)
    return [one - first for one in left]


def _columns(arrangement: Arrangement, pins: Pins) -> _Columns:
    straight = straight_steps(arrangement)
    column = [0] * len(pins.width)
    offset = [0] * len(pins.width)
    count = 0
    for layer in arrangement.layers:
        for item in layer:
            step = straight.get(item)
            if step is None:
                column[item] = count
                count += 1
            else:
                out = pins.bottom(step.source, arrangement.output_of(step))
                column[item] = column[step.source]
                offset[item] = offset[step.source] + out - pins.top(item, step.feeds)
    return _Columns(column, offset, count)


Distances = list[dict[int, int]]


def _distances(
    arrangement: Arrangement, pins: Pins, gap: Callable[[int, int], int], columns: _Columns
) -> tuple[Distances, Distances]:
    """The least distance of each column from its left neighbours, and from its right neighbours."""
    before: Distances = [{} for _ in range(columns.count)]
    after: Distances = [{} for _ in range(columns.count)]
    for layer in arrangement.layers:
        for left, right in pairwise(layer):
            least = columns.offset[left] + pins.width[left] + gap(left, right) - columns.offset[right]
            one, other = columns.column[left], columns.column[right]
            if least > before[other].get(one, least - 1):
                before[other][one] = after[one][other] = least
    return before, after


def _left_to_right(before: Distances, after: Distances) -> list[int]:
    waiting = [len(some) for some in before]
    ready = [one for one, count in enumerate(waiting) if count == 0]
    order = []
    while ready:
        one = heapq.heappop(ready)
        order.append(one)
        for other in after[one]:
            waiting[other] -= 1
            if waiting[other] == 0:
                heapq.heappush(ready, other)
    assert len(order) == len(before), "columns that do not cross have an order"
    return order


def _pulls(arrangement: Arrangement, pins: Pins, columns: _Columns) -> list[list[tuple[int, int]]]:
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
