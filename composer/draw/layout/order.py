"""The order of items in their layers, so that few wires cross. Depends on no size: opened boxes keep their order."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from composer.draw.layout.rank import Diagram, Ranking, rank

ROUNDS = 8
# Sweeps over more items in total would be too slow.
MOST_VISITS = 50_000


class Step(NamedTuple):
    """A part of a net from one layer to the next. `output`, `input`: its place among fixed outputs or inputs, 0 … 1."""

    source: int
    target: int
    net: int
    output: float
    input: float
    feeds: int


@dataclass(frozen=True)
class Arrangement:
    """Items and bends per layer, from left to right.

    Numbers from `diagram.num_items` on are bends: places where a net passes a layer. `steps[l]` lead from layer l to
    layer l + 1. `feeds` is the input of the item that a step leads to, or -1 for a bend.
    """

    diagram: Diagram
    ranking: Ranking
    layers: tuple[tuple[int, ...], ...]
    steps: tuple[tuple[Step, ...], ...]
    bends: tuple[int, ...]

    def output_of(self, step: Step) -> int:
        """The output of its source where a step starts."""
        return self.diagram.nets[step.net].output if step.source < self.diagram.num_items else 0


def arrange(diagram: Diagram) -> Arrangement:
    """The arrangement: layers by the longest path, then ordered by sweeps; tied items keep their declared order."""
    ranking = rank(diagram)
    steps, bends = _steps(diagram, ranking)
    layers = _declared(diagram, ranking, bends)
    if diagram.num_items and len(bends) + diagram.num_items:
        layers = _sweep(diagram, layers, steps)
    return Arrangement(
        diagram, ranking, tuple(map(tuple, layers)), tuple(map(tuple, steps)), tuple(net for net, _ in bends)
    )


def _steps(diagram: Diagram, ranking: Ranking) -> tuple[list[list[Step]], list[tuple[int, int]]]:
    """The steps of every net without a lane beside the picture, and the net and layer of every bend."""
    steps: list[list[Step]] = [[] for _ in range(max(0, ranking.num_layers - 1))]
    bends: list[tuple[int, int]] = []
    layer = ranking.layer
    for number, net in enumerate(diagram.nets):
        if number in ranking.beside:
            continue
        output = _share(net.output, diagram.gives[net.source]) if net.source in diagram.fixed else 0.0
        at, end = net.source, max(layer[target] for target, _ in net.targets)
        waiting = sorted(net.targets, key=lambda target: layer[target[0]], reverse=True)
        for level in range(layer[net.source], end):
            while waiting and layer[waiting[-1][0]] == level + 1:
                target, index = waiting.pop()
                input = _share(index, diagram.takes[target]) if target in diagram.fixed else 0.0
                steps[level].append(Step(at, target, number, output, input, index))
            if level + 1 < end:
                bend = diagram.num_items + len(bends)
                bends.append((number, level + 1))
                steps[level].append(Step(at, bend, number, output, 0.0, -1))
                at, output = bend, 0.0
    return steps, bends


def _share(index: int, count: int) -> float:
    return (index + 1) / (count + 1)


def _declared(diagram: Diagram, ranking: Ranking, bends: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Items in declared order, then bends; bends of the nets that start latest come first."""
    layers: list[list[int]] = [[] for _ in range(ranking.num_layers)]
    for item, layer in enumerate(ranking.layer):
        layers[layer].append(item)
    for index in sorted(range(len(bends)), key=lambda index: -diagram.nets[bends[index][0]].source):
        layers[bends[index][1]].append(diagram.num_items + index)
    return layers


def _sweep(diagram: Diagram, layers: list[list[int]], steps: Sequence[Sequence[Step]]) -> list[list[int]]:
    """The order with the fewest crossings found by moving each item to the mean of its neighbours, down and up."""
    best, fewest = layers, _crossings(layers, steps)
    current = [list(layer) for layer in layers]
    visits = sum(map(len, layers))
    rounds = min(ROUNDS, MOST_VISITS // max(1, visits))
    above = _neighbours(steps, downward=True)
    below = _neighbours(steps, downward=False)
    # Inputs and outputs keep their order.
    inner = range(1, len(layers) - 1)
    idle = 0
    for _ in range(rounds):
        if fewest == 0 or idle == 3:
            break
        for level in inner:
            _settle(current, level, level - 1, above)
        for level in reversed(inner):
            _settle(current, level, level + 1, below)
        crossings = _crossings(current, steps)
        idle += 1
        if crossings < fewest:
            best, fewest, idle = [list(layer) for layer in current], crossings, 0
    return best


def _neighbours(steps: Sequence[Sequence[Step]], *, downward: bool) -> dict[int, list[tuple[int, float]]]:
    found: dict[int, list[tuple[int, float]]] = {}
    for level in steps:
        for step in level:
            end, other, share = (
                (step.target, step.source, step.output) if downward else (step.source, step.target, step.input)
            )
            found.setdefault(end, []).append((other, share))
    return found


def _settle(layers: list[list[int]], level: int, other: int, neighbours: dict[int, list[tuple[int, float]]]) -> None:
    layer = layers[level]
    if len(layer) < 2:
        return
    place = {item: index for index, item in enumerate(layers[other])}
    keys = {}
    for index, item in enumerate(layer):
        found = neighbours.get(item)
        # An item without neighbours keeps its place.
        keys[item] = sum(place[one] + share for one, share in found) / len(found) if found else float(index)
    layer.sort(key=keys.__getitem__)


def _crossings(layers: Sequence[Sequence[int]], steps: Sequence[Sequence[Step]]) -> int:
    """The total number of crossings of steps."""
    count = 0
    for level, found in enumerate(steps):
        if len(found) < 2:
            continue
        upper = {item: index for index, item in enumerate(layers[level])}
        lower = {item: index for index, item in enumerate(layers[level + 1])}
        ends = sorted((upper[step.source] + step.output, lower[step.target] + step.input) for step in found)
        seen: list[float] = []
        for _, end in ends:
            count += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return count
