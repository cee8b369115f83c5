"""Wires between two layers: each goes down, sideways on a track of its own, and down again."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One net between two layers: where it leaves the upper one, and where it enters the lower one."""

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
        """Whether it needs no track."""
        return self.left == self.right


def tracks(runs: Sequence[Run]) -> dict[int, int]:
    """The track of every net that is not straight, counted from 0 at the top.

    Nets that overlap have different tracks, in the order in which they cross least. Where one goes down from the
    upper layer just where another goes down to the lower one, it turns off above that one.
    """
    bent = sorted((run for run in runs if not run.straight), key=_order)
    above = _above(bent)
    waiting = [len(some) for some in above]
    below: list[list[int]] = [[] for _ in bent]
    for index, some in enumerate(above):
        for other in some:
            below[other].append(index)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    left = set(range(len(bent)))
    found: dict[int, int] = {}
    rows: list[list[Run]] = []
    while left:
        # Two nets that ask for each other's way go round in a circle; one of them has to give way.
        index = heapq.heappop(ready) if ready else min(left)
        if index not in left:
            continue
        left.remove(index)
        run = bent[index]
        least = max((found[bent[other].net] + 1 for other in above[index] if bent[other].net in found), default=0)
        row = max((row + 1 for row, some in enumerate(rows) if any(_overlap(run, one) for one in some)), default=0)
        found[run.net] = row = max(least, row)
        rows.extend([] for _ in range(row + 1 - len(rows)))
        rows[row].append(run)
        for other in below[index]:
            waiting[other] -= 1
            if waiting[other] == 0:
                heapq.heappush(ready, other)
    return found


def _order(run: Run) -> tuple[bool, int, int]:
    """Of wires to the right, the one that starts furthest right turns first; of wires to the left, furthest left."""
    rightward = run.right - run.top >= run.top - run.left
    return not rightward, -run.top if rightward else run.top, run.net


def _above(bent: Sequence[Run]) -> list[set[int]]:
    """For each run those that must have a track above its own."""
    tops: dict[int, list[int]] = {}
    for index, run in enumerate(bent):
        tops.setdefault(run.top, []).append(index)
    return [
        {other for bottom in run.bottoms for other in tops.get(bottom, ()) if other != index}
        for index, run in enumerate(bent)
    ]


def _overlap(one: Run, other: Run) -> bool:
    return one.left <= other.right and other.left <= one.right
