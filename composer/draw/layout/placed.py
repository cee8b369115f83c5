"""A container laid out: where its boxes, wires and ports are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from composer.draw.layout.route import Point
from composer.draw.view import Edge


@dataclass(frozen=True)
class Placed:
    """A box in its container: its corner and size, and the layout inside when it is open."""

    name: str
    x: int
    y: int
    width: int
    height: int
    inside: Layout | None = None


@dataclass(frozen=True)
class Wire:
    """A tensor's way from one end to another, along horizontal and vertical lines from the first point to the last."""

    edge: Edge
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Label:
    """A shape at the start of a wire: the left end of its base line, or with `end` the right one.

    `room` is how far from the box the words at its wires reach.
    """

    source: str
    output: str
    shape: str
    x: int
    y: int
    end: bool
    room: int


@dataclass(frozen=True)
class Layout:
    """One container, measured from its upper left corner.

    boxes   in the order of the view; of the whole network, its inputs and outputs too (`in:NAME`, `out:NAME`)
    ports   where wires come in and leave, by `in:NAME` and `out:NAME`; the way in is below the head
    """

    width: int
    height: int
    boxes: tuple[Placed, ...]
    wires: tuple[Wire, ...]
    ports: Mapping[str, Point]
    labels: tuple[Label, ...]

    def gives(self, output: str) -> str:
        """The shape that stands at the wire to an output; empty where none does."""
        shapes = {(label.source, label.output): label.shape for label in self.labels}
        for wire in self.wires:
            edge = wire.edge
            if edge.target.startswith("out:") and output in ("", edge.target.removeprefix("out:")):
                return shapes.get((edge.source, edge.output), "")
        return ""
