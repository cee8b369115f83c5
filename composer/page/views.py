"""View -> JSON that the page draws: the content of each container, and its layout while all boxes in it are closed.

An opened box stretches its container; the page itself never computes a new layout.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import cast

from composer.draw import measure
from composer.draw.layout import Known, Layout, lay_out
from composer.draw.layout.rank import Diagram
from composer.draw.layout.sizing import Direction
from composer.draw.layout.topology import diagram_of, items_of
from composer.draw.text import advance
from composer.draw.theme import class_of
from composer.draw.view import Box, View, opened_at
from composer.page.schema import BoxData, LayoutData, SharedData, ViewData
from composer.page.tables import Table
from composer.visible import visible

# Characters that the page adds to its data: counts, signs, and the sign for characters that do not print.
OWN_CHARACTERS = "0123456789+×·…\N{REPLACEMENT CHARACTER}"


def _single(box: Box) -> None:
    """No inside: the box is a single step."""


@dataclass
class Shared:
    """Data that the views of a page share: layouts, equal for containers of the same form, and widths of characters.

    open    paths of the containers that are open at the start
    known   arrangements and routes found before
    within  box that is one operation -> number of its inside on the page; None without one
    """

    direction: Direction = "TB"
    open: Collection[str] = ()
    layouts: Table = field(default_factory=Table)
    known: Known = field(default_factory=Known)
    characters: set[str] = field(default_factory=lambda: set(OWN_CHARACTERS))
    within: Callable[[Box], int | None] = _single

    def view(self, view: View) -> ViewData:
        """The view of a whole network, with the views of all boxes in it, open or closed."""
        return self._view(view, None)

    def inside(self, view: View, around: Box) -> ViewData:
        """The view of what an operation computes, with all in it closed."""
        within, self.within = self.within, _single
        found = self._view(view, around)
        self.within = within
        return found

    def _view(self, view: View, around: Box | None) -> ViewData:
        for name, shape in view.inputs.items():
            self.characters.update(visible(name), shape)
        self.characters.update(*map(visible, view.outputs))
        diagram = diagram_of(view)
        return {
            "path": view.path,
            "inputs": list(view.inputs.items()),
            "outputs": list(view.outputs),
            "boxes": [self.box(box) for box in view.boxes],
            "layouts": [self._layout(one, around, diagram) for one in self._states(view)],
            "shapes": _shapes(view, diagram),
        }

    def _states(self, view: View) -> list[View]:
        """The view with every box in it closed; then the view at the start, if boxes in it are open."""
        first = any(box.inner is not None and box.path in self.open for box in view.boxes)
        return [opened_at(view, ()), *([opened_at(view, self.open)] if first else [])]

    def _layout(self, view: View, around: Box | None, diagram: Diagram) -> int:
        if around is None:
            layout = lay_out(view, self.direction, self.known, role="whole")
        else:
            layout = lay_out(view, self.direction, self.known, head=measure.header_width(around))
        written = _written(view, layout, diagram)
        return self.layouts.number(repr(written), lambda: written)

    def box(self, box: Box) -> BoxData:
        """A box, with its texts when closed; empty values are left out."""
        detail, row, lines = measure.detail(box), measure.second_row(box), measure.problem_lines(box)
        pills = [measure.pill(*held) for held in box.holds]
        self.characters.update(box.label, detail, row, *lines, *pills, *box.shapes.values())
        facts = {
            "path": box.path,
            "label": box.label,
            "kind": box.kind,
            "look": class_of(replace(box, inner=None)),
            "op": box.op,
        }
        perhaps = {
            "shapes": list(box.shapes.items()),
            "detail": detail,
            "copies": list(box.copies),
            "parameters": box.num_parameters,
            "holds": list(box.holds),
            "pills": pills if box.kind == "block" else [],
            "helper": box.helper,
            "line": box.line,
            "state": "" if box.state == "made" else box.state,
            "row": row,
            "lines": lines,
            "problem": box.problem.message if box.problem else "",
        }
        found = cast(BoxData, facts | {key: value for key, value in perhaps.items() if value})
        if box.rule is not None:
            found["rule"] = box.rule
        if box.inner is not None:
            found["inner"] = self._view(box.inner, box)
        elif box.state == "made" and (number := self.within(box)) is not None:
            found["inside"] = number
        return found

    def tables(self) -> SharedData:
        """The layouts and the widths of characters, which all views share."""
        characters = sorted(self.characters)
        widths = [{one: advance(one, bold=bold) for one in characters} for bold in (False, True)]
        return {"layouts": self.layouts.rows, "characters": widths}


def _shapes(view: View, diagram: Diagram) -> list[str]:
    """The shape of every net of the diagram."""
    items = items_of(view)
    shapes = {(edge.target, edge.index): edge.shape for edge in view.edges}
    return [shapes[items[target], index] for net in diagram.nets for target, index in net.targets[:1]]


def _written(view: View, layout: Layout, diagram: Diagram) -> LayoutData:
    items = items_of(view)
    placed = {one.name: (one.x, one.y, one.width, one.height) for one in layout.boxes}
    ends = [(net, *end) for net, found in enumerate(diagram.nets) for end in found.targets]
    points = [[one for point in wire.points for one in point] for wire in layout.wires]
    nets = {(wire.edge.source, wire.edge.output): end[0] for wire, end in zip(layout.wires, ends, strict=True)}
    return {
        "size": (layout.width, layout.height),
        "items": [placed.get(name) or (*layout.ports[name], 0, 0) for name in items],
        "nets": [(net.source, net.output) for net in diagram.nets],
        "wires": [[*end, *way] for end, way in zip(ends, points, strict=True)],
        "labels": [(nets[one.source, one.output], one.x, one.y, int(one.end), one.room) for one in layout.labels],
    }
