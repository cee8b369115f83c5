"""A view as a Diagram of numbers, which the layout works on."""

from __future__ import annotations

from composer.draw.layout.rank import Diagram, Net
from composer.draw.view import View


def items_of(view: View) -> list[str]:
    """Names of the items that a layout places, in running order: inputs, boxes, outputs."""
    return [
        *(f"in:{name}" for name in view.inputs),
        *(box.name for box in view.boxes),
        *(f"out:{n}" for n in view.outputs),
    ]


def diagram_of(view: View) -> Diagram:
    """The view's items and nets as numbers."""
    number = {name: index for index, name in enumerate(items_of(view))}
    outputs = {box.name: {output: index for index, output in enumerate(box.shapes)} for box in view.boxes}
    taking: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for edge in view.edges:
        known = outputs.setdefault(edge.source, {})
        output = known.setdefault(edge.output, len(known))
        taking.setdefault((number[edge.source], output), []).append((number[edge.target], edge.index))
    nets = tuple(Net(source, output, tuple(targets)) for (source, output), targets in sorted(taking.items()))
    takes, gives = [0] * len(number), [len(outputs.get(name, ())) for name in number]
    for edge in view.edges:
        takes[number[edge.target]] = max(takes[number[edge.target]], edge.index + 1)
    blocks = {number[box.name] for box in view.boxes if box.kind == "block"}
    fixed = frozenset(item for item in number.values() if gives[item] > 1 or (item in blocks and takes[item] > 1))
    return Diagram(len(number), len(view.inputs), len(view.outputs), nets, tuple(takes), tuple(gives), fixed)
