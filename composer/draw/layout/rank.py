"""The layer of each item, and which long nets run in lanes beside the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# A picture may have FREE_BENDS bends and this many per item; beyond that, its longest nets run in lanes beside it.
BENDS_PER_ITEM = 4
FREE_BENDS = 2000
# A layer of more items than this may give some to the layers below.
CROWDED = 3


class Net(NamedTuple):
    """A tensor: its source item and output, and its target items and their inputs, in declared order."""

    source: int
    output: int
    targets: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Diagram:
    """The source of a layout, without sizes: items from 0 in running order, inputs first, outputs last.

    Every net goes from an item to items with higher numbers. `takes` and `gives` are the numbers of inputs and outputs
    per item. The inputs and outputs of `fixed` items keep their declared order; the layout orders those of others.
    """

    num_items: int
    num_inputs: int
    num_outputs: int
    nets: tuple[Net, ...]
    takes: tuple[int, ...]
    gives: tuple[int, ...]
    fixed: frozenset[int] = frozenset()

    @property
    def first_output(self) -> int:
        """The item number of the first output."""
        return self.num_items - self.num_outputs

    def is_end(self, item: int) -> bool:
        """Whether an item is an input or output of the view, not a box."""
        return not self.num_inputs <= item < self.first_output


@dataclass(frozen=True)
class Ranking:
    """The layer of every item, from 0; its longest distance from an input; and the nets in lanes beside the picture."""

    layer: tuple[int, ...]
    distance: tuple[int, ...]
    beside: frozenset[int]

    @property
    def num_layers(self) -> int:
        """The number of layers."""
        return max(self.layer, default=-1) + 1


def rank(diagram: Diagram) -> Ranking:
    """Layers by the longest path. The first layer has only inputs, the last layer only outputs.

    An item without inputs stands in the layer before its first target.
    """
    distance = [0] * diagram.num_items
    layer = [0] * diagram.num_inputs + [1] * (diagram.num_items - diagram.num_inputs)
    for net in sorted(diagram.nets, key=lambda net: net.source):
        for target, _ in net.targets:
            layer[target] = max(layer[target], layer[net.source] + 1)
            distance[target] = max(distance[target], distance[net.source] + 1)
    taken = {target for net in diagram.nets for target, _ in net.targets}
    for net in sorted(diagram.nets, key=lambda net: -net.source):
        if net.source not in taken and net.source >= diagram.num_inputs:
            layer[net.source] = max(1, min(layer[target] for target, _ in net.targets) - 1)
    last = max(layer[: diagram.first_output], default=0) + 1
    _balance(diagram, layer, last)
    layer[diagram.first_output :] = [last] * diagram.num_outputs
    return Ranking(tuple(layer), tuple(distance), _beside(diagram, layer))


def _balance(diagram: Diagram, layer: list[int], last: int) -> None:
    """Move items out of crowded layers, down to where fewer are, as far as what takes their outputs allows.

    Only items with one input, or none, and at most one output, so that no further net passes a layer; and those whose
    output nothing takes.
    """
    boxes = range(diagram.num_inputs, diagram.first_output)
    count = Counter(layer[item] for item in boxes)
    inputs, outputs = Counter[int](), Counter[int]()
    for net in diagram.nets:
        outputs[net.source] += 1
        inputs.update({target for target, _ in net.targets})
    targets: dict[int, list[int]] = {}
    for net in diagram.nets:
        targets.setdefault(net.source, []).extend(target for target, _ in net.targets if target < diagram.first_output)
    for item in reversed(boxes):
        if inputs[item] > 1 or outputs[item] > 1 or count[layer[item]] <= CROWDED:
            continue
        lowest = min([last - 1, *(layer[target] - 1 for target in targets.get(item, ()))])
        best = min(range(layer[item], lowest + 1), key=lambda level: count[level], default=layer[item])
        if count[layer[item]] > count[best] + 1:
            count[layer[item]] -= 1
            count[best] += 1
            layer[item] = best


def _beside(diagram: Diagram, layer: Sequence[int]) -> frozenset[int]:
    """The longest nets, as many as needed to leave few enough bends: bends cost time."""
    spans = [max(layer[target] for target, _ in net.targets) - layer[net.source] - 1 for net in diagram.nets]
    left = sum(spans)
    most = FREE_BENDS + BENDS_PER_ITEM * diagram.num_items
    found = set()
    for index in sorted(range(len(spans)), key=lambda index: -spans[index]):
        if left <= most:
            break
        found.add(index)
        left -= spans[index]
    return frozenset(found)
