"""Consecutive equal nodes as a single box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from composer.draw.describe import describe_names
from composer.draw.view import Box, Holds

Reference = tuple[str, str]


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
    return folded, {key: (moved.get(name, name), output) for key, (name, output) in ends.items()}


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
