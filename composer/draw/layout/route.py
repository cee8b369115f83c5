"""Arrangement and sizes of items -> positions and wires. All lengths are whole pixels.

Here layers always follow one another downwards; `layout` turns the result for direction `LR`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from composer.draw.layout.columns import place_columns
from composer.draw.layout.metrics import SCREEN, Spacing
from composer.draw.layout.order import Arrangement
from composer.draw.layout.packing import Pins
from composer.draw.layout.tracks import Tracks, find_tracks
from composer.draw.layout.ways import End, find_ways

Point = tuple[int, int]


@dataclass(frozen=True)
class Sizes:
    """The sizes of items: `width` across the main axis, `height` along it.

    `labels` is how far along the main axis the labels of an item's outgoing wires reach. `inputs` and `outputs`: item,
    and where its wires touch it, from its left edge; for items that prescribe this.
    """

    width: tuple[int, ...]
    height: tuple[int, ...]
    labels: tuple[int, ...]
    inputs: tuple[tuple[int, tuple[int, ...]], ...] = ()
    outputs: tuple[tuple[int, tuple[int, ...]], ...] = ()
    spacing: Spacing = SCREEN


@dataclass(frozen=True)
class Routed:
    """Corners of the items, wires by net and end, and the total width and height."""

    corners: tuple[Point, ...]
    wires: Mapping[tuple[int, End], tuple[Point, ...]]
    width: int
    height: int


def route(arrangement: Arrangement, sizes: Sizes) -> Routed:
    """Positions and wires. Boxes do not overlap, and wires touch only the boxes that they leave or enter."""
    diagram, layer, spacing = arrangement.diagram, arrangement.ranking.layer, sizes.spacing
    pins = Pins([*sizes.width, *([0] * len(arrangement.bends))], dict(sizes.inputs), dict(sizes.outputs))

    def gap(one: int, other: int) -> int:
        return spacing.box if one < diagram.num_items and other < diagram.num_items else spacing.wire

    left = place_columns(arrangement, pins, gap)
    ways = find_ways(arrangement, pins, left, spacing.wire)
    rows = [find_tracks(runs) for runs in ways.runs()]
    starts, first_tracks, height = _levels(arrangement, sizes, rows)
    corners = tuple((left[item], starts[layer[item]]) for item in range(diagram.num_items))
    wires: dict[tuple[int, End], tuple[Point, ...]] = {}
    for number, net in enumerate(diagram.nets):
        for end in net.targets:
            points = [(ways.leaves[number], corners[net.source][1] + sizes.height[net.source])]
            for level, top, bottom in ways.path(number, end):
                turns = rows[level].turns(number, top, bottom)
                points += [(x, first_tracks[level] + track * spacing.track) for x, track in turns]
            wires[number, end] = (*points, (ways.enters[end], corners[end[0]][1]))
    return Routed(corners, wires, ways.width, height)


def _levels(arrangement: Arrangement, sizes: Sizes, rows: Sequence[Tracks]) -> tuple[list[int], list[int], int]:
    """The start of each layer, the position of the first track below it, and the total height."""
    starts, first_tracks, y = [], [], 0
    num_items = arrangement.diagram.num_items
    for level, layer in enumerate(arrangement.layers):
        items = [item for item in layer if item < num_items]
        starts.append(y)
        y += max((sizes.height[item] for item in items), default=0)
        if level < len(rows):
            first_tracks.append(y + max((sizes.labels[item] for item in items), default=0) + sizes.spacing.leave)
            y = first_tracks[-1] + rows[level].count * sizes.spacing.track + sizes.spacing.arrive
    return starts, first_tracks, y
