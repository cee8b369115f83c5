"""A picture as JSON: where everything is, and the graph's facts. Ids are the paths of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from composer.dag.flatten import flat_json
from composer.draw.layout import Layout, Placed
from composer.draw.picture import Figure, Picture
from composer.draw.view import Box, View

if TYPE_CHECKING:
    from composer.dag.composition import Composition


def document(picture: Picture, graph: Composition | None) -> dict[str, Any]:
    """Plain JSON values. `graph` has options, shapes, parameters and MACs of each node; null with mistakes."""
    return {
        "name": picture.name,
        "description": picture.description,
        "parameters": picture.num_parameters,
        "direction": picture.direction,
        "rules": [vars(rule) for rule in picture.rules],
        "problems": [problem.to_json() for problem in picture.problems],
        "figures": [_figure(figure) for figure in picture.figures],
        "graph": None if graph is None else flat_json(graph),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {"frame": _facts(figure.frame), "caption": figure.caption, **_container(figure.view, figure.layout)}


def _container(view: View, layout: Layout) -> dict[str, Any]:
    """A layout, in its own coordinates. Wires end at ids of boxes, or at the layout's `in:NAME` and `out:NAME`."""
    ids = {box.name: box.path for box in view.boxes}
    return {
        "path": view.path,
        "block": view.block,
        "width": layout.width,
        "height": layout.height,
        "ports": {name: list(point) for name, point in layout.ports.items()},
        "labels": [{**vars(label), "source": ids.get(label.source, label.source)} for label in layout.labels],
        "boxes": [_box(placed, view.by_name.get(placed.name)) for placed in layout.boxes],
        "wires": [
            {
                "from": ids.get(wire.edge.source, wire.edge.source),
                "output": wire.edge.output,
                "to": ids.get(wire.edge.target, wire.edge.target),
                "input": wire.edge.index,
                "shape": wire.edge.shape,
                "points": [list(point) for point in wire.points],
            }
            for wire in layout.wires
        ],
    }


def _box(placed: Placed, box: Box | None) -> dict[str, Any]:
    place = {"x": placed.x, "y": placed.y, "width": placed.width, "height": placed.height}
    if box is None:
        return {"id": placed.name, **place}
    inside = {}
    if placed.inside is not None and box.inner is not None:
        inside = {"inside": _container(box.inner, placed.inside)}
    return {"id": box.path, **place, **(_facts(box) or {}), **inside}


def _facts(box: Box | None) -> Mapping[str, Any] | None:
    if box is None:
        return None
    return {
        "path": box.path,
        "label": box.label,
        "copies": list(box.copies),
        "kind": box.kind,
        "op": box.op,
        "detail": box.detail,
        "shapes": dict(box.shapes),
        "parameters": box.num_parameters,
        "rule": box.rule,
        "helper": box.helper,
        "holds": [{"rule": rule, "mechanism": name, "places": count} for rule, name, count in box.holds],
        "line": box.line,
        "shares": list(box.shares),
        "state": box.state,
        "problem": box.problem.to_json() if box.problem else None,
    }
