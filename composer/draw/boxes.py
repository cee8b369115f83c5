"""Boxes and wires of a layout as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from composer.amounts import plural
from composer.draw import measure
from composer.draw.layout import Layout, Placed
from composer.draw.layout.route import Point
from composer.draw.markup import element, moved, rectangle, text, title
from composer.draw.text import fit, width
from composer.draw.theme import class_of
from composer.draw.view import Box, View
from composer.visible import visible

RADIUS = 5
# How far a line between boxes that share a module bends to the right of them.
SHARED = 18
ARROW = 7
BADGE = 8
BASELINE = 4


def container(view: View, layout: Layout) -> Iterator[str]:
    """The content of a container: wires below, boxes above."""
    yield element("g", {"class": "wires"}, wires(layout))
    for placed in layout.boxes:
        box = view.by_name.get(placed.name)
        if box is None:
            yield end(placed, view.inputs.get(placed.name.partition(":")[2], ""))
        elif placed.inside is not None and box.inner is not None:
            yield moved(placed.x, placed.y, frame(box, box.inner, placed.inside), about(box))
        else:
            yield moved(placed.x, placed.y, closed(box, placed), about(box))
    yield from shared(view, layout)


def shared(view: View, layout: Layout) -> Iterator[str]:
    """Dashed lines from the boxes that own a module to those beside them that call it too."""
    places = {placed.name: placed for placed in layout.boxes}
    boxes = {path: box for box in view.boxes for path in box.copies or (box.path,)}
    for box in view.boxes:
        for owner in (boxes[path] for path in box.shares if path in boxes):
            one, other = places[owner.name], places[box.name]
            left, right = sorted((one, other), key=lambda placed: placed.x)
            # Along the right edges of boxes that stand one below the other, else across the gap between them.
            start = (left.x + left.width, left.y + left.height // 2)
            end = (right.x + (right.width if right.x < start[0] else 0), right.y + right.height // 2)
            bend = max(start[0], end[0]) + SHARED if right.x < start[0] else (start[0] + end[0]) // 2
            line = f"M{start[0]} {start[1]}C{bend} {start[1]} {bend} {end[1]} {end[0]} {end[1]}"
            yield element(
                "path",
                {"class": "wire", "stroke-dasharray": "4 3", "d": line},
                [title(f"{box.label} shares {owner.label}")],
            )


def frame(box: Box, view: View, layout: Layout) -> Iterator[str]:
    """An open block: its frame, its head, and its content."""
    yield title(tooltip(box))
    yield from sheets(box, layout.width, layout.height)
    yield rectangle(0, 0, layout.width, layout.height, "box", 6)
    yield from _head(box, layout.width, None if box.tint is None else box.tint.words)
    yield from container(view, layout)


def closed(box: Box, placed: Placed) -> Iterator[str]:
    """An operation, or a closed block."""
    below_it = measure.SHEETS if box.count > 1 else 0
    yield title(tooltip(box))
    yield from sheets(box, placed.width, placed.height - below_it)
    yield rectangle(0, 0, placed.width, placed.height - below_it, "box")
    row, words = measure.second_row(box), None if box.tint is None else box.tint.words
    yield from _head(box, placed.width, None if row else words)
    below = measure.ROW + 7
    if row:
        told = row if words is None else fit(words, measure.DETAIL_SIZE, width(row, measure.DETAIL_SIZE))
        yield text(told, measure.PAD, below, "faint")
        yield from _pills(box, placed.width, below)
        below += measure.SECOND_ROW
    for line in measure.problem_lines(box):
        yield text(line, measure.PAD, below, "alarm label")
        below += measure.LINE
    if box.rule is not None:
        yield from badge(str(box.rule + 1), placed.width - 2, 1, "pill")


def end(placed: Placed, shape: str) -> str:
    """An input or output of the whole network."""
    side, _, name = placed.name.partition(":")
    what = f"input `{name}`: {shape}" if side == "in" else f"output `{name}`"
    shown = fit(visible(name), measure.NAME_SIZE, placed.width - measure.PAD)
    children = [
        title(what),
        rectangle(0, 0, placed.width, placed.height, "box", placed.height // 2),
        text(shown, placed.width // 2, placed.height // 2 + BASELINE, "mid"),
    ]
    return moved(placed.x, placed.y, children, {"class": "k-other", "data-path": placed.name})


def badge(number: str, x: int, y: int, kind: str) -> Iterator[str]:
    """A number on a disc."""
    yield element("circle", {"cx": x, "cy": y, "r": BADGE, "class": kind})
    yield text(number, x, y + BASELINE, "badge on mid")


def tooltip(box: Box) -> str:
    """All facts about a box."""
    lines = [f"{box.path}: {box.detail}" if box.count == 1 else f"{box.copies[0]} … {box.copies[-1]}: {box.detail}"]
    lines += [f"{name or 'gives'} {shape}" for name, shape in box.shapes.items()]
    if box.num_parameters:
        lines.append(plural(box.num_parameters, "parameter", ","))
    if box.rule is not None:
        lines.append(f"put in by rule {box.rule + 1}")
    lines += [f"{mechanism} in {plural(count, 'place')}" for _, mechanism, count in box.holds if box.kind == "block"]
    if box.problem is not None:
        lines.append(box.problem.message)
    return "\n".join(lines)


def about(box: Box) -> dict[str, object]:
    """The attributes of a box's group: its style class and its nodes."""
    copies = f"{box.copies[0]} … {box.copies[-1]}" if box.copies else ""
    look = f" {box.tint.look}" if box.tint and box.tint.look and box.inner is None else ""
    return {"class": class_of(box) + look, "data-path": box.path, "data-copies": copies}


def _head(box: Box, room: int, told: str | None = None) -> Iterator[str]:
    """The name on the left; the number of copies and the kind of block on the right, or what is told in its place."""
    left, right, y = measure.PAD, room - measure.PAD, measure.ROW // 2 + BASELINE
    if copies := measure.chip(box):
        yield text(copies, right, y, "name end")
        right -= width(copies, measure.NAME_SIZE, bold=True) + 8
    name, detail = box.label, measure.detail(box)
    wanted = width(detail, measure.DETAIL_SIZE)
    shown = fit(name, measure.NAME_SIZE, max(right - left - wanted - 10, (right - left) // 2), bold=True)
    yield text(shown, left, y, "name")
    left += width(shown, measure.NAME_SIZE, bold=True) + 10
    detail = detail if told is None else told
    if detail and right - left > 20:
        yield text(fit(detail, measure.DETAIL_SIZE, right - left), right, y, "faint end")


def _pills(box: Box, room: int, y: int) -> Iterator[str]:
    """What attention rules inserted into a closed block, as far as there is room."""
    right = room - measure.PAD
    for words in reversed(measure.pills(box, room)):
        length = measure.pill_length(words)
        yield rectangle(right - length, y - 11, length, 15, "pill", 7)
        yield text(words, right - length // 2, y, "badge on mid")
        right -= length + measure.PILL_GAP


def sheets(box: Box, width: int, height: int) -> Iterator[str]:
    """The edges of further copies under a box."""
    if box.count > 1:
        for sheet in (2, 1):
            inset, below = 4 * sheet, 3 * sheet
            yield rectangle(inset, height - 12 + below, width - 2 * inset, 12, "box")


def wires(layout: Layout, kind: str = "label") -> Iterator[str]:
    """The wires of a container, with an arrow at each box that they enter, and the shapes beside them in this class."""
    drawn = {placed.name for placed in layout.boxes}
    for wire in layout.wires:
        edge = wire.edge
        about = title(f"{edge.source} → {edge.target}{': ' if edge.shape else ''}{edge.shape}")
        headed = edge.target in drawn
        yield element("path", {"class": "wire", "d": path(wire.points, ARROW - 2 if headed else 0)}, [about])
        if headed:
            yield element("path", {"class": "head", "d": _arrow(wire.points)})
    for label in layout.labels:
        yield text(label.shape, label.x, label.y, f"{kind} end" if label.end else kind)


def path(points: Sequence[Point], short: int) -> str:
    """Straight lines with round corners, ending `short` before the last point."""
    parts = [f"M{points[0][0]} {points[0][1]}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(RADIUS, _length(before, corner) // 2, _length(corner, after) // 2)
        start, stop = _towards(corner, before, radius), _towards(corner, after, radius)
        parts.append(f"L{start[0]} {start[1]}Q{corner[0]} {corner[1]} {stop[0]} {stop[1]}")
    x, y = _towards(points[-1], points[-2], short)
    return "".join([*parts, f"L{x} {y}"])


def _arrow(points: Sequence[Point]) -> str:
    (x, y), (a, b) = points[-1], _towards(points[-1], points[-2], ARROW)
    side = 3
    return f"M{x} {y}L{a + side * (y != b)} {b + side * (x != a)}L{a - side * (y != b)} {b - side * (x != a)}Z"


def _length(one: Point, other: Point) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(start: Point, end: Point, distance: int) -> Point:
    """The point on a horizontal or vertical line at this distance from its start."""
    step = min(distance, _length(start, end))
    (x, y), (a, b) = start, end
    return x + step * ((a > x) - (a < x)), y + step * ((b > y) - (b < y))
