"""A layout that is too high, cut between its layers into columns beside each other.

At a cut, wires go on from the foot of one column to the head of the next: the leftmost wire turns lowest at the foot
and lowest at the head, and runs rightmost between the columns, so that no two of them cross.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from composer.draw.layout import Label, Layout, Placed, Wire
from composer.draw.layout.route import Point

# Between wires beside each other, and between them and what they pass.
APART, CLEAR = 7, 9
# The height of letters above their base line, and below.
ASCENT, DESCENT = 11, 3


@dataclass(frozen=True)
class Column:
    """A part of a layout in its own coordinates, and where wires come in at its head and go on at its foot."""

    layout: Layout
    enters: tuple[int, ...]
    leaves: tuple[int, ...]

    @property
    def head(self) -> int:
        """The room above for wires that come from the column before."""
        return _room(len(self.enters))

    @property
    def height(self) -> int:
        """The height with the room for wires above and below."""
        return self.head + self.layout.height + _room(len(self.leaves))


@dataclass(frozen=True)
class _Cut:
    """A horizontal line that meets no box and no words, and the wires that it meets, by position."""

    y: int
    wires: tuple[int, ...]


def columns(layout: Layout, limit: int) -> list[Column] | None:
    """The layout in as few columns as this height allows, equally high if possible; None if a layer is higher."""
    cuts = [_Cut(0, ()), *_cuts(layout), _Cut(layout.height, ())]
    chosen = _balanced(cuts, limit)
    if chosen is None:
        return None
    return [_column(layout, start, end) for start, end in pairwise(chosen)]


def gutter(number: int) -> int:
    """The room between two columns for so many wires."""
    return 2 * CLEAR + APART * max(0, number - 1)


def connections(before: Column, after: Column, start: Point, end: Point) -> Iterator[tuple[Point, ...]]:
    """The wires from a column at one place to the next column at another, the leftmost first."""
    count = len(before.leaves)
    lane = end[0] - CLEAR
    for index, (x, into) in enumerate(zip(before.leaves, after.enters, strict=True)):
        rank = count - 1 - index
        foot = start[1] + before.head + before.layout.height + CLEAR + APART * rank - CLEAR // 2
        top = end[1] + CLEAR // 2 + APART * rank
        across = lane - APART * index
        yield (
            (start[0] + x, start[1] + before.head + before.layout.height),
            (start[0] + x, foot),
            (across, foot),
            (across, top),
            (end[0] + into, top),
            (end[0] + into, end[1] + after.head),
        )


def _room(number: int) -> int:
    return CLEAR + APART * (number - 1) if number else 0


def _cuts(layout: Layout) -> Iterator[_Cut]:
    """The first place below each layer where only vertical wires are met."""
    bands = sorted((placed.y, placed.y + placed.height) for placed in layout.boxes)
    words = [(label.y - ASCENT, label.y + DESCENT) for label in layout.labels]
    lines = [(wire, a, b) for wire in layout.wires for a, b in pairwise(wire.points)]
    flat = {a[1] for _, a, b in lines if a[1] == b[1]}
    end = 0
    for start, stop in bands:
        if end and start > end:
            free = [y for y in range(end + 1, start) if y not in flat and not any(p < y < q for p, q in words)]
            if free:
                met = {a[0] for _, a, b in lines if a[0] == b[0] and min(a[1], b[1]) < free[0] < max(a[1], b[1])}
                yield _Cut(free[0], tuple(sorted(met)))
        end = max(end, stop)


def _balanced(cuts: Sequence[_Cut], limit: int) -> list[_Cut] | None:
    """The cuts between as few columns as possible that makes the highest column lowest."""

    def height(one: int, other: int) -> int:
        start, end = cuts[one], cuts[other]
        return end.y - start.y + _room(len(start.wires)) + _room(len(end.wires))

    last = len(cuts) - 1
    # For what ends at each cut: the height of the highest column, and the cuts before it.
    best: list[tuple[int, list[int]] | None] = [(0, [0]), *([None] * last)]
    for _ in range(last):
        longer: list[tuple[int, list[int]] | None] = [None] * (last + 1)
        for end in range(1, last + 1):
            for before in range(end - 1, -1, -1):
                if cuts[end].y - cuts[before].y > limit:
                    break
                found, high = best[before], height(before, end)
                if found is None or high > limit:
                    continue
                higher, known = max(found[0], high), longer[end]
                if known is None or higher < known[0]:
                    longer[end] = higher, [*found[1], end]
        best = longer
        whole = best[last]
        if whole is not None:
            return [cuts[index] for index in whole[1]]
    return None


def _column(layout: Layout, start: _Cut, end: _Cut) -> Column:
    """What of a layout is between two cuts."""
    boxes = [placed for placed in layout.boxes if start.y <= placed.y < end.y]
    labels = [label for label in layout.labels if start.y <= label.y < end.y]
    wires = [replace(wire, points=points) for wire in layout.wires if (points := _between(wire, start.y, end.y))]
    xs = [x for wire in wires for x, _ in wire.points] + [placed.x for placed in boxes]
    xs += [placed.x + placed.width for placed in boxes]
    whole = start.y == 0 and end.y == layout.height
    left, right = (0, layout.width) if whole else (min(xs, default=0), max(xs, default=0))
    return Column(
        Layout(
            right - left,
            end.y - start.y,
            tuple(_moved_box(placed, left, start.y) for placed in boxes),
            tuple(replace(wire, points=tuple((x - left, y - start.y) for x, y in wire.points)) for wire in wires),
            {},
            tuple(_moved_label(label, left, start.y) for label in labels),
        ),
        tuple(x - left for x in start.wires),
        tuple(x - left for x in end.wires),
    )


def _between(wire: Wire, top: int, bottom: int) -> tuple[Point, ...]:
    """The part of a wire, which goes downwards, between two heights; empty if there is none."""
    found: list[Point] = []
    for (x, y), (a, b) in pairwise(wire.points):
        if b <= top or y >= bottom:
            continue
        for point in ((x, max(y, top)), (a, min(b, bottom))):
            if not found or found[-1] != point:
                found.append(point)
    return tuple(found) if len(found) > 1 else ()


def _moved_box(placed: Placed, left: int, top: int) -> Placed:
    return replace(placed, x=placed.x - left, y=placed.y - top)


def _moved_label(label: Label, left: int, top: int) -> Label:
    return replace(label, x=label.x - left, y=label.y - top)
