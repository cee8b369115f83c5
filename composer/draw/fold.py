"""Consecutive equal nodes, and many equal nodes beside each other, as a single box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from composer.draw.describe import describe_names
from composer.draw.view import Box, Holds

Reference = tuple[str, str]
# More equal nodes beside each other than these are a single box.
MOST_SIBLINGS = 8


@dataclass(frozen=True)
class Part:
    """A box with its sources. Equal keys: the boxes are written alike; equal forms: except for sizes and options."""

    box: Box
    sources: tuple[Reference, ...]
    key: int
    form: int


def fold(parts: Sequence[Part], ends: Mapping[str, Reference]) -> tuple[list[Part], dict[str, Reference]]:
    """The parts, with each run of copies as a single part, and the outputs, which may come from such a run.

    A copy takes the copy before it, and otherwise only inputs that the copy before takes too; no other node takes a
    tensor in between.
    """
    uses = Counter(name for part in parts for name, _ in part.sources)
    uses.update(name for name, _ in ends.values())
    runs: list[list[Part]] = []
    for part in parts:
        if runs and _continues(runs[-1][-1], part, uses):
            runs[-1].append(part)
        else:
            runs.append([part])
    moved = {run[-1].box.name: run[0].box.name for run in runs}
    folded = [
        replace(_joined(run), sources=tuple((moved.get(name, name), output) for name, output in run[0].sources))
        for run in runs
    ]
    return _without_siblings(folded, uses), {
        key: (moved.get(name, name), output) for key, (name, output) in ends.items()
    }


def _without_siblings(parts: Sequence[Part], uses: Mapping[str, int]) -> list[Part]:
    """The parts, with many equal ones that take the same and all go into one operation as a single part."""
    takers = {name: part.box for part in parts for name, _ in part.sources}
    groups: dict[tuple[object, ...], list[Part]] = {}
    for part in parts:
        name, taker = part.box.name, takers.get(part.box.name)
        alone = part.box.count == 1 and uses[name] == 1 and part.box.state == "made"
        if alone and taker is not None and taker.inner is None:
            groups.setdefault((part.key, part.sources, taker.name), []).append(part)
    many = [group for group in groups.values() if len(group) > MOST_SIBLINGS]
    first = {part.box.name: group[0].box.name for group in many for part in group}
    joined = {group[0].box.name: _joined(group) for group in many}
    kept = [part for part in parts if first.get(part.box.name, part.box.name) == part.box.name]
    return [
        replace(joined.get(part.box.name, part), sources=tuple(_once(part.sources, first))) if first else part
        for part in kept
    ]


def _once(sources: Sequence[Reference], first: Mapping[str, str]) -> Iterator[Reference]:
    """References with those to siblings as one, to the first of them."""
    found: set[Reference] = set()
    for name, output in sources:
        if name not in first:
            yield name, output
        elif (first[name], output) not in found:
            found.add((first[name], output))
            yield first[name], output


def _continues(before: Part, part: Part, uses: Mapping[str, int]) -> bool:
    name = before.box.name
    return (
        part.key == before.key
        and part.sources[:1] == ((name, ""),)
        and part.sources[1:] == before.sources[1:]
        and uses[name] == 1
        and before.box.state == part.box.state == "made"
    )


def _joined(run: Sequence[Part]) -> Part:
    first, last = run[0].box, run[-1].box
    if len(run) == 1:
        return run[0]
    box = replace(
        first,
        label=describe_names([part.box.label for part in run]),
        copies=tuple(path for part in run for path in part.box.copies or (part.box.path,)),
        shapes=last.shapes,
        changed=any(part.box.changed for part in run),
        num_parameters=sum(part.box.num_parameters for part in run),
        holds=sum_holds(part.box for part in run),
    )
    return replace(run[0], box=box)


def sum_holds(boxes: Iterable[Box]) -> Holds:
    """What rules inserted into boxes, with copies counted."""
    counts: Counter[tuple[int, str]] = Counter()
    for box in boxes:
        for rule, mechanism, count in box.holds:
            counts[rule, mechanism] += count
    return tuple((rule, mechanism, count) for (rule, mechanism), count in sorted(counts.items()))
