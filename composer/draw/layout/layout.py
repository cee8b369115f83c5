"""View -> layout: the position of every box, wire and port of a container.

A container's layout depends only on its content and the sizes of its boxes. The order of the boxes does not depend on
sizes: when a box opens, the order stays the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from composer.draw import measure
from composer.draw.layout.metrics import Metrics
from composer.draw.layout.order import Arrangement, arrange
from composer.draw.layout.placed import Label, Layout, Placed, Wire
from composer.draw.layout.rank import Diagram
from composer.draw.layout.route import Point, Routed, Sizes, route
from composer.draw.layout.sizing import Direction, Measuring, Role
from composer.draw.layout.topology import diagram_of, items_of
from composer.draw.view import Edge, View


@dataclass
class Known:
    """Arrangements and routes found before, so that containers of the same form are laid out only once."""

    arrangements: dict[Diagram, Arrangement] = field(default_factory=dict)
    routes: dict[tuple[Diagram, Sizes], Routed] = field(default_factory=dict)


def lay_out(
    view: View,
    direction: Direction = "TB",
    known: Known | None = None,
    *,
    role: Role = "nested",
    head: int = 0,
    metrics: Metrics = measure,
) -> Layout:
    """The layout of a view and of every open box in it.

    In a whole network, inputs and outputs are boxes too; any other view has a frame of at least `head` pixels width.
    `metrics` has the sizes of words and closed boxes: those of a screen if not given.
    """
    known = known or Known()
    inside = {
        box.name: lay_out(box.inner, direction, known, head=metrics.header_width(box), metrics=metrics)
        for box in view.boxes
        if box.inner is not None
    }
    diagram = diagram_of(view)
    measuring = Measuring(view, inside, direction, role, metrics)
    sizes = measuring.sizes(diagram)
    if diagram not in known.arrangements:
        known.arrangements[diagram] = arrange(diagram)
    if (diagram, sizes) not in known.routes:
        known.routes[diagram, sizes] = route(known.arrangements[diagram], sizes)
    labelled = {(name, output) for name in items_of(view) for output in measuring.shapes(name)}
    framing = _Framing(view, inside, direction, role == "whole", head, metrics)
    return framing.layout(diagram, sizes, known.routes[diagram, sizes], labelled)


@dataclass(frozen=True)
class _Framing:
    """Makes the layout of a routed view: turns it to the direction of the picture, and puts it into its frame."""

    view: View
    inside: Mapping[str, Layout]
    direction: Direction
    whole: bool
    head: int
    metrics: Metrics

    def layout(self, diagram: Diagram, sizes: Sizes, routed: Routed, labelled: Collection[tuple[str, str]]) -> Layout:
        width, height = self.turn((routed.width, routed.height))
        left, top = self.corner(width)
        items = items_of(self.view)

        def moved(point: Point) -> Point:
            x, y = self.turn(point)
            return x + left, y + top

        boxes, ports, right = [], {}, {}
        for item, name in enumerate(items):
            x, y = moved(routed.corners[item])
            across, along = self.turn((sizes.width[item], sizes.height[item]))
            is_end = diagram.is_end(item)
            is_drawn = self.whole or not is_end
            right[name] = x + across if is_drawn else left + width
            if is_drawn:
                boxes.append(Placed(name, x, y, across, along, self.inside.get(name)))
            if is_end:
                ports[name] = (x + across // 2, y + along // 2)
        edges = _edges_by_end(self.view)
        wires = [
            Wire(edges[items[end[0]], end[1]], tuple(map(moved, points))) for (_, end), points in routed.wires.items()
        ]
        if not self.whole:
            width, height = self.framed(width, height)
        starts = {(wire.edge.source, wire.edge.output): wire for wire in reversed(wires)}
        shown = [(end, wire) for end, wire in reversed(starts.items()) if end in labelled and wire.edge.shape]
        rooms = dict(zip(items, sizes.labels, strict=True))
        labels = tuple(self.label(wire, right[end[0]], rooms[end[0]]) for end, wire in shown)
        return Layout(width, height, tuple(boxes), tuple(wires), ports, labels)

    def label(self, wire: Wire, right: int, room: int) -> Label:
        """The shape at the start of a wire: beside the wire and under its box, or above the wire for `LR`."""
        (x, y), edge = wire.points[0], wire.edge
        if self.direction == "LR":
            return Label(edge.source, edge.output, edge.shape, x + 4, y - 4, end=False, room=room)
        end = x + self.metrics.BESIDE + self.metrics.label_width(edge.shape) > right
        x += -self.metrics.BESIDE if end else self.metrics.BESIDE
        return Label(edge.source, edge.output, edge.shape, x, y + self.metrics.BELOW, end, room)

    def turn(self, pair: Point) -> Point:
        return pair if self.direction == "TB" else (pair[1], pair[0])

    def corner(self, width: int) -> Point:
        """The corner of the content within the frame."""
        if self.whole:
            return 0, 0
        if self.direction == "LR":
            return 0, self.metrics.HEADER + self.metrics.FRAME // 2
        return (self.framed(width, 0)[0] - width) // 2, self.metrics.HEADER

    def framed(self, width: int, height: int) -> Point:
        """The size of the frame around content of this size."""
        if self.direction == "LR":
            return width, height + self.metrics.HEADER + self.metrics.FRAME // 2 + self.metrics.FRAME
        return max(width + 2 * self.metrics.FRAME, self.head), height + self.metrics.HEADER


def _edges_by_end(view: View) -> dict[tuple[str, int], Edge]:
    return {(edge.target, edge.index): edge for edge in view.edges}
