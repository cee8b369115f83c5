"""Where each net passes each layer, and where each wire enters its box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from composer.draw.layout.order import Arrangement
from composer.draw.layout.packing import Pins
from composer.draw.layout.tracks import Run

PIN_GAP = 14
LEAST_PIN_GAP = 4

# A target item, and the number of its input.
End = tuple[int, int]


@dataclass(frozen=True)
class Ways:
    """Horizontal positions of nets. `leaves` and `enters`: at boxes; `bends`: where a net passes each layer between;
    `lanes`: of nets beside the picture. `width` is the total width."""

    arrangement: Arrangement
    leaves: Sequence[int]
    bends: Sequence[Sequence[int]]
    lanes: Mapping[int, int]
    enters: Mapping[End, int]
    width: int

    def path(self, number: int, end: End) -> Iterator[tuple[int, int, int]]:
        """The gaps between layers where a wire may turn: level, position above the gap, position below."""
        layer = self.arrangement.ranking.layer
        first, last = layer[self.arrangement.diagram.nets[number].source], layer[end[0]] - 1
        x = self.leaves[number]
        if number in self.lanes and first < last:
            yield first, x, self.lanes[number]
            x = self.lanes[number]
        elif first < last:
            for level, bend in enumerate(self.bends[number][: last - first], first):
                yield level, x, bend
                x = bend
        yield last, x, self.enters[end]

    def runs(self) -> list[list[Run]]:
        """Per gap between two layers, the nets that may turn there."""
        found: list[list[Run]] = [[] for _ in range(self.arrangement.ranking.num_layers - 1)]
        for number, net in enumerate(self.arrangement.diagram.nets):
            turns: dict[int, tuple[int, dict[int, None]]] = {}
            for end in net.targets:
                for level, top, bottom in self.path(number, end):
                    turns.setdefault(level, (top, {}))[1][bottom] = None
            for level, (top, bottoms) in turns.items():
                found[level].append(Run(number, top, tuple(bottoms)))
        return found


def find_ways(arrangement: Arrangement, pins: Pins, left: Sequence[int], wire_gap: int) -> Ways:
    """Ways of wires: through the bends of their nets, or in lanes to the right of all items that they pass.

    wire_gap  the distance of such lanes from one another
    """
    diagram = arrangement.diagram
    leaves = [left[net.source] + pins.bottom(net.source, net.output) for net in diagram.nets]
    bends: list[list[int]] = [[] for _ in diagram.nets]
    # Bends are numbered along each net.
    for index, number in enumerate(arrangement.bends):
        bends[number].append(left[diagram.num_items + index])
    lanes, width = _lanes(arrangement, pins, left, wire_gap)
    enters = _enters(arrangement, pins, left, Ways(arrangement, leaves, bends, lanes, {}, width))
    return Ways(arrangement, leaves, bends, lanes, enters, width)


def _lanes(arrangement: Arrangement, pins: Pins, left: Sequence[int], wire_gap: int) -> tuple[dict[int, int], int]:
    """A lane for each net beside the picture, shorter nets nearer; and the total width."""
    nets, layer = arrangement.diagram.nets, arrangement.ranking.layer
    right = [max((left[item] + pins.width[item] for item in items), default=0) for items in arrangement.layers]
    spans = {
        number: (layer[nets[number].source], max(layer[target] for target, _ in nets[number].targets))
        for number in arrangement.ranking.beside
    }
    lanes = {}
    for number, (first, last) in sorted(spans.items(), key=lambda span: (span[1][1] - span[1][0], span[0])):
        lanes[number] = x = max(right[first : last + 1]) + wire_gap
        right[first : last + 1] = [x] * (last + 1 - first)
    return lanes, max(right, default=0)


def _enters(arrangement: Arrangement, pins: Pins, left: Sequence[int], ways: Ways) -> dict[End, int]:
    """End -> where its wire enters the box."""
    layer = arrangement.ranking.layer
    arriving: dict[int, list[tuple[int, int]]] = {}
    for number, net in enumerate(arrangement.diagram.nets):
        for target, index in net.targets:
            passed = layer[target] - layer[net.source] - 1
            x = ways.leaves[number] if passed == 0 else ways.lanes.get(number) or ways.bends[number][passed - 1]
            arriving.setdefault(target, []).append((x, index))
    enters: dict[End, int] = {}
    for item, found in arriving.items():
        if item in pins.inputs:
            enters.update(((item, index), left[item] + pins.top(item, index)) for _, index in found)
        else:
            enters.update(((item, index), x) for index, x in _spread(found, left[item], pins.width[item]))
    return enters


def _spread(arriving: Sequence[tuple[int, int]], left: int, width: int) -> Iterator[tuple[int, int]]:
    """The place of each input by its number, in the order of the arriving wires; a straight wire gets the middle."""
    middle = left + width // 2
    ordered = sorted(arriving)
    straight = next((place for place, (x, _) in enumerate(ordered) if x == middle), None)
    centre = (len(ordered) - 1) / 2 if straight is None else straight
    widest = max(centre, len(ordered) - 1 - centre)
    apart = min(PIN_GAP, (width // 2 - LEAST_PIN_GAP) / widest) if widest else 0
    for place, (_, index) in enumerate(ordered):
        yield index, middle + int((place - centre) * apart)
