"""What must hold of any layout: boxes apart, wires from box to box and past all others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from composer.draw.layout import Layout, Placed, Wire
from composer.draw.measure import label_width
from composer.draw.view import View

Box = tuple[int, int, int, int]


def faults(layout: Layout, view: View) -> list[str]:
    """Everything that is wrong with a layout and with those inside it."""
    found = list(_faults(layout, view))
    for placed in layout.boxes:
        if placed.inside is not None:
            inner = view.by_name[placed.name].inner
            assert inner is not None
            found += [f"{placed.name}: {fault}" for fault in faults(placed.inside, inner)]
    return found


def _faults(layout: Layout, view: View) -> Iterator[str]:
    boxes = {placed.name: placed for placed in layout.boxes}
    assert set(boxes) >= {box.name for box in view.boxes}
    for one, other in combinations(layout.boxes, 2):
        if _overlap(_area(one), _area(other)):
            yield f"{one.name} and {other.name} overlap"
    for placed in layout.boxes:
        left, top, right, bottom = _area(placed)
        if left < 0 or top < 0 or right > layout.width or bottom > layout.height:
            yield f"{placed.name} is outside"
    assert sorted(map(repr, (wire.edge for wire in layout.wires))) == sorted(map(repr, view.edges))
    for wire in layout.wires:
        yield from _wire_faults(wire, layout, boxes)
    yield from _shared(layout)
    yield from _label_faults(layout)


def _wire_faults(wire: Wire, layout: Layout, boxes: dict[str, Placed]) -> Iterator[str]:
    name = f"{wire.edge.source} -> {wire.edge.target}"
    for end, point, leaving in ((wire.edge.source, wire.points[0], True), (wire.edge.target, wire.points[-1], False)):
        if end in boxes:
            if not _on_edge(point, _area(boxes[end])):
                yield f"{name} does not touch {end}"
        elif point != layout.ports[end]:
            yield f"{name} does not {'leave' if leaving else 'enter'} by {end}"
    for (x, y), (a, b) in pairwise(wire.points):
        if x != a and y != b:
            yield f"{name} runs aslant"
        if max(x, a) > layout.width or max(y, b) > layout.height or min(x, y, a, b) < 0:
            yield f"{name} leaves the picture"
        line = (min(x, a), min(y, b), max(x, a), max(y, b))
        for placed in boxes.values():
            if _through(line, _area(placed)):
                yield f"{name} runs through {placed.name}"


def _shared(layout: Layout) -> Iterator[str]:
    """Two tensors on one line could not be told apart."""
    lines: dict[tuple[str, int], list[tuple[int, int, tuple[str, str]]]] = {}
    for wire in layout.wires:
        tensor = (wire.edge.source, wire.edge.output)
        for (x, y), (a, b) in pairwise(wire.points):
            if x == a:
                lines.setdefault(("x", x), []).append((min(y, b), max(y, b), tensor))
            else:
                lines.setdefault(("y", y), []).append((min(x, a), max(x, a), tensor))
    for line, stretches in lines.items():
        for (start, end, tensor), (begin, stop, other) in combinations(stretches, 2):
            if tensor != other and min(end, stop) > max(start, begin):
                yield f"{tensor} and {other} share a stretch of {line}"


def _label_faults(layout: Layout) -> Iterator[str]:
    """Words must stand on nothing: no box, no other words, no wire but their own."""
    areas = {}
    for label in layout.labels:
        width = label_width(label.shape)
        left = label.x - width if label.end else label.x
        areas[label.source, label.output] = (left, label.y - 9, left + width, label.y + 1)
    for (one, area), (other, its) in combinations(areas.items(), 2):
        if _overlap(area, its):
            yield f"the shapes of {one} and {other} overlap"
    for tensor, area in areas.items():
        for placed in layout.boxes:
            if _overlap(area, _area(placed)):
                yield f"the shape of {tensor} stands on {placed.name}"
        for wire in layout.wires:
            for (x, y), (a, b) in pairwise(wire.points):
                if _through((min(x, a), min(y, b), max(x, a), max(y, b)), area):
                    yield f"a wire runs through the shape of {tensor}"


def _area(placed: Placed) -> Box:
    return placed.x, placed.y, placed.x + placed.width, placed.y + placed.height


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _through(line: Box, box: Box) -> bool:
    """Whether a line runs inside a box."""
    if line[1] == line[3]:
        return box[1] < line[1] < box[3] and line[0] < box[2] and box[0] < line[2]
    return box[0] < line[0] < box[2] and line[1] < box[3] and box[1] < line[3]


def _on_edge(point: tuple[int, int], box: Box) -> bool:
    x, y = point
    left, top, right, bottom = box
    inside = left <= x <= right and top <= y <= bottom
    return inside and (x in (left, right) or y in (top, bottom))
