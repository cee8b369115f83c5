"""Wires between two layers: each goes down, sideways on its own track, and down again."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# A wire that must turn twice goes down so many pixels beside its end.
ASIDE = 3


class Run(NamedTuple):
    """A net between two layers: where it leaves the upper layer, and where it enters the lower layer."""

    net: int
    top: int
    bottoms: tuple[int, ...]

    @property
    def left(self) -> int:
        """Its leftmost point."""
        return min(self.top, *self.bottoms)

    @property
    def right(self) -> int:
        """Its rightmost point."""
        return max(self.top, *self.bottoms)

    @property
    def straight(self) -> bool:
        """Whether it runs straight down and needs no track."""
        return self.left == self.right


@dataclass(frozen=True)
class Tracks:
    """Tracks are counted from 0 at the top. `row`: net -> its track. `late`: net and end -> a second track, for an end
    that the net cannot reach from its first track without meeting another net."""

    row: Mapping[int, int]
    late: Mapping[tuple[int, int], int]
    count: int

    def turns(self, net: int, top: int, bottom: int) -> Iterator[tuple[int, int]]:
        """The turns of a wire on its way from top to bottom: horizontal position and track."""
        if top == bottom:
            return
        yield top, self.row[net]
        if (net, bottom) in self.late:
            aside = bottom - ASIDE if top < bottom else bottom + ASIDE
            yield aside, self.row[net]
            yield aside, self.late[net, bottom]
            yield bottom, self.late[net, bottom]
        else:
            yield bottom, self.row[net]


def find_tracks(runs: Sequence[Run]) -> Tracks:
    """A track for every net that is not straight.

    Nets that overlap get different tracks, in the order with the fewest crossings. If net a leaves the upper layer at
    the place where net b enters the lower layer, a's track is above b's; if such conditions form a cycle, a net of the
    cycle turns twice.
    """
    bent = sorted((run for run in runs if not run.straight), key=_order)
    above = _above(bent)
    skyline = _Skyline([-(2**62)], [0])
    row: dict[int, int] = {}
    late: list[tuple[int, int]] = []
    for index, broken in _downwards(above):
        run = bent[index]
        late += [(run.net, bent[other].top) for other in sorted(broken)]
        least = max((row[bent[other].net] + 1 for other in above[index] - broken), default=0)
        row[run.net] = skyline.put(run.left, run.right, least)
    count = max(row.values(), default=-1) + 1
    return Tracks(row, {end: count + index for index, end in enumerate(late)}, count + len(late))


@dataclass
class _Skyline:
    """The number of tracks in use at each horizontal position: `heights[i]` from `starts[i]` on."""

    starts: list[int]
    heights: list[int]

    def put(self, left: int, right: int, least: int) -> int:
        """Take and return the first track from `least` on that is free from left to right."""
        first, last = bisect_right(self.starts, left) - 1, bisect_right(self.starts, right) - 1
        track = max(least, *self.heights[first : last + 1])
        before = [(self.starts[first], self.heights[first])] if self.starts[first] < left else []
        parts = [*before, (left, track + 1)]
        if last + 1 == len(self.starts) or self.starts[last + 1] > right + 1:
            parts.append((right + 1, self.heights[last]))
        self.starts[first : last + 1] = [start for start, _ in parts]
        self.heights[first : last + 1] = [height for _, height in parts]
        return track


def _order(run: Run) -> tuple[bool, int, int]:
    """Sort key: first wires to the right, rightmost start first; then wires to the left, leftmost start first."""
    rightward = run.right - run.top >= run.top - run.left
    return not rightward, -run.top if rightward else run.top, run.net


def _above(bent: Sequence[Run]) -> list[set[int]]:
    """Per run, the runs whose tracks must be above its own."""
    tops: dict[int, list[int]] = {}
    for index, run in enumerate(bent):
        tops.setdefault(run.top, []).append(index)
    return [
        {other for bottom in run.bottoms for other in tops.get(bottom, ()) if other != index}
        for index, run in enumerate(bent)
    ]


def _downwards(above: Sequence[set[int]]) -> Iterator[tuple[int, set[int]]]:
    """Runs from the top, each with the runs that should be above it but cannot because of a cycle."""
    waiting = [set(some) for some in above]
    below: dict[int, list[int]] = {}
    for index, some in enumerate(above):
        for other in some:
            below.setdefault(other, []).append(index)
    ready = [index for index, some in enumerate(waiting) if not some]
    left = set(range(len(above)))
    while left:
        index = heapq.heappop(ready) if ready else min(left)
        if index not in left:
            continue
        left.remove(index)
        yield index, waiting[index]
        for other in below.get(index, ()):
            waiting[other] -= {index}
            if not waiting[other]:
                heapq.heappush(ready, other)
