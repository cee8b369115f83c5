"""What mechanisms compute, primitive by primitive, for boxes that are one operation: closed until somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from composer.dag.composition import Composition, operations_in
from composer.dag.macs import macs_of
from composer.dag.operation import Operation
from composer.dag.scope import Scope
from composer.dag.sketch import Sketch
from composer.draw.build import build_view
from composer.draw.measure import header_width
from composer.draw.view import Box, num_boxes
from composer.hosts.primitives import primitives
from composer.page.facts import Costs, facts_of
from composer.page.schema import InsideData
from composer.page.sources import Files
from composer.page.tables import Tables
from composer.page.views import Shared

# A loop over the positions of a kernel is unrolled: its code says more than so many boxes.
FEWEST, MOST = 3, 150


@dataclass
class Insides:
    """The insides of the operations of a page, each once for all that compute the same on tensors of the same shapes.

    rows     by number; paths in them begin in the operation
    numbers  of what has none, None
    """

    tables: Tables
    files: Files
    rows: list[InsideData] = field(default_factory=list)
    numbers: dict[Any, int | None] = field(default_factory=dict)

    def finder(self, graph: Composition, shared: Shared) -> Callable[[Box], int | None]:
        """What finds the number of the inside of a box in a network; None for a single step, or too much to draw."""
        places = {node.path: (node.content, inputs) for node, inputs in graph.operations}

        def number(box: Box) -> int | None:
            operation, inputs = places.get(box.path, (None, ()))
            # The layout leaves room for the head.
            key = (operation, tuple(tensor.shape for tensor in inputs), header_width(box))
            if isinstance(operation, Operation) and key not in self.numbers:
                scope = primitives(operation, inputs)
                self.numbers[key] = self._written(box, Sketch(graph.spec, scope), shared) if scope else None
            return self.numbers.get(key)

        return number

    def _written(self, box: Box, sketch: Sketch, shared: Shared) -> int | None:
        view = build_view(sketch)
        if not FEWEST <= num_boxes(view) <= MOST:
            return None
        _, facts = facts_of(sketch, Costs(dict(_macs(sketch.root))), self.tables, self.files)
        self.rows.append({"view": shared.inside(view, box), "facts": facts})
        return len(self.rows) - 1


def _macs(scope: Scope) -> Iterator[tuple[str, int | None]]:
    for node, inputs in operations_in(scope):
        assert isinstance(node.content, Operation)
        yield node.path, macs_of(node.content, inputs)
