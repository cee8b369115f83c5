"""A view in numbers, as the layout works on it."""

from __future__ import annotations

from collections import Counter

from composer.draw.rank import Diagram, Net
from composer.draw.view import View


def items_of(view: View) -> list[str]:
    """What a layout places, in the order in which it runs."""
    return [
        *(f"in:{name}" for name in view.inputs),
        *(box.name for box in view.boxes),
        *(f"out:{n}" for n in view.outputs),
    ]


def diagram_of(view: View) -> Diagram:
    """The view's topology in numbers."""
    number = {name: index for index, name in enumerate(items_of(view))}
    outputs = {box.name: {output: index for index, output in enumerate(box.shapes)} for box in view.boxes}
    taking: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for edge in view.edges:
        known = outputs.setdefault(edge.source, {})
        output = known.setdefault(edge.output, len(known))
        taking.setdefault((number[edge.source], output), []).append((number[edge.target], edge.index))
    nets = tuple(Net(source, output, tuple(targets)) for (source, output), targets in sorted(taking.items()))
    num_inputs = Counter(target for net in nets for target, _ in net.targets)
    fixed = frozenset(
        number[box.name]
        for box in view.boxes
        if len(outputs[box.name]) > 1 or (box.kind == "block" and num_inputs[number[box.name]] > 1)
    )
    return Diagram(len(number), len(view.inputs), len(view.outputs), nets, fixed)
