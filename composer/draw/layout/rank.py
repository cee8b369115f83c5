"""Which layer each item stands in, and by which way each tensor passes the layers between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# How many bends a picture may have for each item before its longest wires go beside it instead.
BENDS_PER_ITEM = 4
FREE_BENDS = 2000


class Net(NamedTuple):
    """One tensor: the item and output that give it, and the items and inputs that take it, in declaration order."""

    source: int
    output: int
    targets: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Diagram:
    """What a layout is made from, without any size: items 0 … in the order they run, inputs first, outputs last.

    Items are numbered so that every net goes from a lower number to higher ones. `takes` and `gives` say how many
    inputs and outputs each has. `fixed` are items whose inputs and outputs stand in the order they are declared; of
    the others, the layout chooses.
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
        """The number of the first output."""
        return self.num_items - self.num_outputs

    def is_end(self, item: int) -> bool:
        """Whether it is an input or an output of the whole, and no box."""
        return not self.num_inputs <= item < self.first_output


@dataclass(frozen=True)
class Ranking:
    """The layer of every item, counted from 0; how far each is from an input; and the nets that go beside."""

    layer: tuple[int, ...]
    distance: tuple[int, ...]
    beside: frozenset[int]

    @property
    def num_layers(self) -> int:
        """How many layers there are."""
        return max(self.layer, default=-1) + 1


def rank(diagram: Diagram) -> Ranking:
    """Layers by the longest path. Inputs have the first layer and outputs the last one to themselves.

    An item that takes nothing stands right before the first that takes it.
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
    layer[diagram.first_output :] = [last] * diagram.num_outputs
    return Ranking(tuple(layer), tuple(distance), _beside(diagram, layer))


def _beside(diagram: Diagram, layer: Sequence[int]) -> frozenset[int]:
    """The longest nets, as far as the others would have too many bends: bends cost time."""
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
