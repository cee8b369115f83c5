"""Straight columns of items as far left as they go, some broken where straightness makes a picture too wide."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from composer.draw.layout.order import Arrangement, Step
from composer.draw.layout.straight import straight_steps

# How much wider than its widest layer a picture may become for wires that run straight down.
SLACK = 1.3
# Wires to bend at most, one by one; fewer in huge pictures, because it would take too long.
MOST_BROKEN = 60
MOST_MOVES = 30_000

Distances = list[dict[int, int]]
Gap = Callable[[int, int], int]


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
class Columns:
    """The column of each item, and its offset from the column's origin."""

    column: Sequence[int]
    offset: Sequence[int]
    count: int


@dataclass(frozen=True)
class Packed:
    """Columns as far left as possible.

    before, after  the least distance of each column from its left neighbours, and from its right neighbours
    order          the columns from left to right
    x              the origin of each column
    path           what makes the picture so wide, from the right: the items of a column that touch its neighbours on
                   this path, the left one and the right one, if there are both
    """

    columns: Columns
    before: Distances
    after: Distances
    order: Sequence[int]
    x: list[int]
    width: int
    path: Sequence[tuple[int, int]]


def pack(arrangement: Arrangement, pins: Pins, gap: Gap) -> Packed:
    """The columns of an arrangement; neighbours a, b in a layer are at least `gap(a, b)` apart."""
    straight = straight_steps(arrangement)
    lengths = [
        sum(pins.width[item] for item in layer) + sum(gap(one, other) for one, other in pairwise(layer))
        for layer in arrangement.layers
    ]
    layer_of = {item: level for level, layer in enumerate(arrangement.layers) for item in layer}
    packed = _packed(arrangement, pins, gap, straight)
    for _ in range(min(MOST_BROKEN, MOST_MOVES // max(1, len(pins.width)))):
        if packed.width <= SLACK * max(lengths, default=0):
            break
        weakest = _weakest(packed, straight, layer_of, arrangement.diagram.num_items)
        if weakest is None:
            break
        del straight[weakest]
        packed = _packed(arrangement, pins, gap, straight)
    return packed


def _weakest(packed: Packed, straight: Mapping[int, Step], layer_of: Mapping[int, int], num_items: int) -> int | None:
    """The target of the step to bend: one of those that keep apart what makes the picture wide.

    A step between an item and a bend comes first, then one within a long net, last one between two items; of these, the
    one in the longest part of a column.
    """
    members: dict[tuple[int, int], int] = {
        (column, layer_of[item]): item for item, column in enumerate(packed.columns.column)
    }
    found: list[tuple[int, int, int]] = []
    for left, right in packed.path:
        column = packed.columns.column[left]
        start, end = sorted((layer_of[left], layer_of[right]))
        for level in range(start + 1, end + 1):
            item = members[column, level]
            if item in straight:
                num_bends = (straight[item].source >= num_items) + (item >= num_items)
                found.append(((2, 0, 1)[num_bends], start - end, item))
    return min(found, key=lambda one: one[:2])[2] if found else None


def _packed(arrangement: Arrangement, pins: Pins, gap: Gap, straight: Mapping[int, Step]) -> Packed:
    columns = _columns(arrangement, pins, straight)
    before: Distances = [{} for _ in range(columns.count)]
    after: Distances = [{} for _ in range(columns.count)]
    touching: dict[tuple[int, int], tuple[int, int]] = {}
    for layer in arrangement.layers:
        for left, right in pairwise(layer):
            least = columns.offset[left] + pins.width[left] + gap(left, right) - columns.offset[right]
            one, other = columns.column[left], columns.column[right]
            if least > before[other].get(one, least - 1):
                before[other][one] = after[one][other] = least
                touching[one, other] = left, right
    order = _left_to_right(before, after)
    x = [0] * columns.count
    for column in order:
        x[column] = max((x[other] + least for other, least in before[column].items()), default=0)
    ends = [x[column] + columns.offset[item] + pins.width[item] for item, column in enumerate(columns.column)]
    width = max(ends, default=0)
    path: list[tuple[int, int]] = []
    last = ends.index(width) if ends else None
    while last is not None:
        column = columns.column[last]
        tight = (one for one, least in before[column].items() if x[one] + least == x[column])
        neighbour = next(tight, None)
        if neighbour is None:
            break
        end, first = touching[neighbour, column]
        path.append((first, last))
        last = end
    return Packed(columns, before, after, order, x, width, path)


def _columns(arrangement: Arrangement, pins: Pins, straight: Mapping[int, Step]) -> Columns:
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
    return Columns(column, offset, count)


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
