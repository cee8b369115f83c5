"""Reduces views with too many boxes: consecutive boxes are drawn as a single box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from composer.draw.fold import sum_holds
from composer.draw.view import Box, Edge, View

T = TypeVar("T")


def in_chunks(view: View, most: int) -> View:
    """The view, closed, with at most `most` boxes, `most` inputs and `most` outputs."""
    boxes = [_chunk(some) for some in _split(view.boxes, most)]
    inputs = {_range(some): view.inputs[some[0]] if len(some) == 1 else "" for some in _split([*view.inputs], most)}
    outputs = [_range(some) for some in _split(view.outputs, most)]
    moved = {box.name: some[0].name for some in _split(view.boxes, most) for box in some}
    moved |= {f"in:{name}": f"in:{_range(some)}" for some in _split([*view.inputs], most) for name in some}
    moved |= {f"out:{name}": f"out:{_range(some)}" for some in _split(view.outputs, most) for name in some}
    shapes: dict[tuple[str, str], set[str]] = {}
    for edge in view.edges:
        ends = moved[edge.source], moved[edge.target]
        if ends[0] != ends[1]:
            shapes.setdefault(ends, set()).add(edge.shape)
    edges = [
        Edge(source, "", target, index, some.pop() if len(some) == 1 else "")
        for index, ((source, target), some) in enumerate(shapes.items())
    ]
    return replace(view, inputs=inputs, boxes=tuple(boxes), outputs=tuple(outputs), edges=tuple(edges))


def _split(items: Sequence[T], most: int) -> list[Sequence[T]]:
    size = -(-len(items) // most) or 1
    return [items[start : start + size] for start in range(0, len(items), size)]


def _range(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _chunk(boxes: Sequence[Box]) -> Box:
    first, last = boxes[0], boxes[-1]
    if len(boxes) == 1:
        return replace(first, inner=None)
    count = sum(box.count for box in boxes)
    return Box(
        name=first.name,
        path=first.path,
        label=_range([first.label, last.label]),
        copies=(),
        kind="block",
        op="nodes",
        detail=f"{count} nodes",
        shapes={"": ""},
        changed=False,
        num_parameters=sum(box.num_parameters for box in boxes),
        holds=sum_holds(boxes),
    )
