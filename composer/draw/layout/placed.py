"""The layout of a container: positions of its boxes, wires and ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from composer.draw.layout.route import Point
from composer.draw.view import Edge


@dataclass(frozen=True)
class Placed:
    """A box in its container: its corner and size, and the layout of its content if it is open."""

    name: str
    x: int
    y: int
    width: int
    height: int
    inside: Layout | None = None


@dataclass(frozen=True)
class Wire:
    """The wire of an edge: horizontal and vertical lines from point to point."""

    edge: Edge
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Label:
    """A shape at the start of a wire. `x` and `y` are the left end of its base line, or the right end if `end`.

    `room` is how far from the box the labels at its wires reach.
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
    """The layout of a container, in pixels from its upper left corner.

    boxes   in the order of the view; for the whole network, with its inputs and outputs (`in:NAME`, `out:NAME`)
    ports   where wires enter and leave, by `in:NAME` and `out:NAME`; inputs are below the head
    """

    width: int
    height: int
    boxes: tuple[Placed, ...]
    wires: tuple[Wire, ...]
    ports: Mapping[str, Point]
    labels: tuple[Label, ...]

    def gives(self, output: str) -> str:
        """The shape at the wire to an output; empty if there is none."""
        shapes = {(label.source, label.output): label.shape for label in self.labels}
        for wire in self.wires:
            edge = wire.edge
            if edge.target.startswith("out:") and output in ("", edge.target.removeprefix("out:")):
                return shapes.get((edge.source, edge.output), "")
        return ""
