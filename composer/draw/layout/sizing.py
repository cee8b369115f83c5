"""Sizes of a view's items, closed or open, across and along the direction of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from composer.draw.layout.metrics import Metrics
from composer.draw.layout.placed import Layout
from composer.draw.layout.rank import Diagram
from composer.draw.layout.route import Sizes
from composer.draw.layout.topology import items_of
from composer.draw.layout.ways import LEAST_PIN_GAP, PIN_GAP
from composer.draw.view import Box, View

Direction = Literal["TB", "LR"]
# The whole network, a block shown by itself, or a block in another.
Role = Literal["whole", "alone", "nested"]


@dataclass(frozen=True)
class Measuring:
    """The sizes of a view's items, across and along the direction of the picture."""

    view: View
    inside: Mapping[str, Layout]
    direction: Direction
    role: Role
    metrics: Metrics

    def sizes(self, diagram: Diagram) -> Sizes:
        common = self.metrics.box_width(self.view)
        measured = [
            *(self.end(f"in:{name}") for name in self.view.inputs),
            *(self.box(box, common) for box in self.view.boxes),
            *(self.end(f"out:{name}") for name in self.view.outputs),
        ]
        if self.direction == "LR":
            measured = [(height, width) for width, height in measured]
        # The wires at a box need room beside each other, and their labels too.
        across = [
            max(width, LEAST_PIN_GAP * 2 * diagram.takes[item], self.row_of_labels(name, diagram.gives[item]))
            for item, (name, (width, _)) in enumerate(zip(items_of(self.view), measured, strict=True))
        ]
        inputs, outputs = [], []
        for item in range(diagram.num_items):
            box = None if diagram.is_end(item) else self.view.boxes[item - diagram.num_inputs]
            if box is not None and box.name in self.inside:
                inputs.append((item, self.ports(box, "in", diagram.takes[item])))
                outputs.append((item, self.ports(box, "out", diagram.gives[item])))
            elif item in diagram.fixed:
                inputs.append((item, _from_middle(across[item], diagram.takes[item])))
                outputs.append((item, _evenly(across[item], diagram.gives[item])))
        labels = [self.labels(name) for name in items_of(self.view)]
        along = tuple(length for _, length in measured)
        return Sizes(tuple(across), along, tuple(labels), tuple(inputs), tuple(outputs), self.metrics.SPACING)

    def box(self, box: Box, common: int) -> tuple[int, int]:
        inside = self.inside.get(box.name)
        if inside is None:
            return self.metrics.own_width(box, common), self.metrics.box_height(box)
        return inside.width, inside.height + (self.metrics.SHEETS if box.count > 1 else 0)

    def end(self, name: str) -> tuple[int, int]:
        """The size of an input or output: a box in the whole network, else the room of a point on the frame."""
        if self.role == "whole":
            words = 2 * (self.widest(name) + self.metrics.PAD)
            return max(self.metrics.pill_width(name.partition(":")[2]), words), self.metrics.ROW
        if self.direction == "LR":
            return 0, self.metrics.PORT
        ends = self.view.inputs if name.startswith("in:") else self.view.outputs
        return (self.metrics.PORT if len(ends) == 1 else self.metrics.PORT + 2 * self.widest(name)), 0

    def widest(self, name: str) -> int:
        """The width of the widest shape at an item's wires."""
        return self.widths.get(name, 0)

    @cached_property
    def widths(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for edge in self.view.edges:
            for end in (edge.source, edge.target):
                found[end] = max(found.get(end, 0), self.metrics.label_width(edge.shape))
        return found

    def row_of_labels(self, name: str, count: int) -> int:
        """How far across the picture the labels at an item's wires reach, side by side; 0 for fewer than 2 wires."""
        if count < 2:
            return 0
        return (count + 1) * (
            self.widest(name) + self.metrics.PAD if self.direction == "TB" else self.metrics.LABEL_ROW + 1
        )

    def ports(self, box: Box, side: str, count: int) -> tuple[int, ...]:
        """Where wires enter or leave an open box, from its left (for `LR`, upper) edge."""
        inside = self.inside[box.name]
        points = [point for name, point in inside.ports.items() if name.startswith(f"{side}:")]
        # In a block with mistakes, an output may have no source.
        points += [(inside.width // 2, inside.height // 2)] * (count - len(points))
        return tuple(x if self.direction == "TB" else y for x, y in points)

    def labels(self, name: str) -> int:
        """How far along the direction the labels at an item's wires reach."""
        shapes = self.shapes(name)
        if not shapes:
            return 0
        return (
            self.metrics.LABEL_ROW
            if self.direction == "TB"
            else max(map(self.metrics.label_width, shapes.values())) + 6
        )

    def shapes(self, name: str) -> Mapping[str, str]:
        """The shapes to show at an item's wires, by output."""
        box = self.view.by_name.get(name)
        if box is not None:
            shapes = box.shapes if self.metrics.shows_shape(box) else {}
            inside = self.inside.get(name)
            return {key: shape for key, shape in shapes.items() if inside is None or shape != inside.gives(key)}
        side, _, end = name.partition(":")
        # For a container in another, the shapes of its inputs are already shown outside.
        return {"": self.view.inputs[end]} if side == "in" and self.role != "nested" else {}


def _from_middle(length: int, count: int) -> tuple[int, ...]:
    """Places on an edge, the first in the middle of the edge."""
    apart = min(PIN_GAP, (length // 2 - LEAST_PIN_GAP) // max(1, count - 1))
    return tuple(length // 2 + apart * index for index in range(count))


def _evenly(length: int, count: int) -> tuple[int, ...]:
    return tuple(length * (index + 1) // (count + 1) for index in range(count))
