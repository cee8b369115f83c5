"""Chooses the wires that run straight down: the network's longest path, and the middle one of equal branches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from composer.draw.layout.order import Arrangement, Step


def straight_steps(arrangement: Arrangement) -> dict[int, Step]:
    """Target -> step that runs straight down: both its ends choose the step, and no such steps cross.

    An item chooses the step on the longest path, so that a shortcut gives way to the branch. Among equally long paths
    it chooses the middle one, or none if their number is even.
    """
    height = _heights(arrangement)
    found: dict[int, Step] = {}
    for level, steps in enumerate(arrangement.steps):
        upper = {item: index for index, item in enumerate(arrangement.layers[level])}
        lower = {item: index for index, item in enumerate(arrangement.layers[level + 1])}
        down = _choices(arrangement, steps, "source", "target", height, lower)
        up = _choices(arrangement, steps, "target", "source", arrangement.ranking.distance, upper)
        agreed = [step for step in steps if down[step.source] is step and up[step.target] is step]
        found.update((step.target, step) for step in _uncrossed(arrangement, agreed, upper, lower))
    return found


def _heights(arrangement: Arrangement) -> list[int]:
    """Per item, the number of items after it on the longest path."""
    diagram = arrangement.diagram
    height = [0] * diagram.num_items
    for net in sorted(diagram.nets, key=lambda net: -net.source):
        height[net.source] = max(height[net.source], *(height[target] + 1 for target, _ in net.targets))
    return height


def _choices(
    arrangement: Arrangement,
    steps: Sequence[Step],
    end: str,
    other: str,
    length: Sequence[int],
    place: Mapping[int, int],
) -> dict[int, Step | None]:
    """Item -> the step that it chooses, or None; a step to a bend only if it has no other steps."""
    num_items = arrangement.diagram.num_items
    groups: dict[int, list[tuple[int, int, Step]]] = {}
    for step in steps:
        far = getattr(step, other)
        groups.setdefault(getattr(step, end), []).append((length[far] if far < num_items else -1, place[far], step))
    return {item: _middle_of_longest(some) for item, some in groups.items()}


def _middle_of_longest(found: Sequence[tuple[int, int, Step]]) -> Step | None:
    if len(found) == 1:
        return found[0][2]
    longest = max(length for length, _, _ in found)
    tied = sorted((place, index) for index, (length, place, _) in enumerate(found) if length == longest)
    return found[tied[len(tied) // 2][1]][2] if len(tied) % 2 else None


def _uncrossed(
    arrangement: Arrangement, steps: Sequence[Step], upper: Mapping[int, int], lower: Mapping[int, int]
) -> Iterator[Step]:
    """Steps that do not cross one another; steps between two bends, which belong to long nets, are taken first."""
    num_items = arrangement.diagram.num_items
    taken: list[tuple[int, int]] = []

    def importance(step: Step) -> tuple[bool, int]:
        return step.source < num_items or step.target < num_items, upper[step.source]

    for step in sorted(steps, key=importance):
        ends = upper[step.source], lower[step.target]
        index = bisect_left(taken, ends)
        if (index == 0 or taken[index - 1][1] < ends[1]) and (index == len(taken) or taken[index][1] > ends[1]):
            taken.insert(index, ends)
            yield step
