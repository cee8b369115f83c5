"""A number per node that colours a picture, and the scale from numbers to colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from composer.draw.ramp import RAMP
from composer.draw.view import Box, View
from composer.draw.written import WRITTEN

# What is smaller than the largest by more than this is as pale as what is that small.
MOST_DECADES = 5
# Positive numbers that span more than this ratio have a logarithmic scale.
WIDE = 100


# The copies of each stack around a box, the outermost first; in a stack, boxes have the paths of its first copy.
Stacks = tuple[tuple[str, ...], ...]


def stacks(view: View, around: Stacks = ()) -> Iterator[tuple[Box, Stacks]]:
    """All boxes of a view, with those inside them, and the stacks around each."""
    for box in view.boxes:
        yield box, around
        if box.inner is not None:
            yield from stacks(box.inner, within(box, around))


def within(box: Box, around: Stacks) -> Stacks:
    """The stacks around what is in a box."""
    return (*around, box.copies) if box.count > 1 else around


@dataclass(frozen=True)
class Values:
    """A number per node.

    key      its name on the command line and in links
    name     in a menu
    words    what it is, in the legend
    numbers  path -> number; None if it is not known, no entry where there is none
    written  how numbers are written: `count`, `bytes`, `seconds`, `share` (parts of 1 in percent) or `number`
    unit     what follows a block's number in its box
    adds     whether copies and the nodes of a block add up; else a box for several copies shows their range
    tones    path -> fill and ink that take the place of the ramp
    fact     the name that it has among the facts of a page's nodes, if it is one
    """

    key: str
    name: str
    words: str
    numbers: Mapping[str, float | None]
    written: str = "number"
    unit: str = ""
    adds: bool = False
    tones: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    fact: str = ""

    @property
    def is_own(self) -> bool:
        """Whether every known number has a tone of its own."""
        return bool(self.tones) and all(path in self.tones for path, one in self.numbers.items() if one is not None)

    def paths(self, box: Box, around: Stacks) -> Sequence[str]:
        """The nodes that a box stands for, in every copy of the stacks around it. A block that is drawn as its copies
        stands for itself if it has a number."""
        found = box.copies or (box.path,)
        if box.path not in found and box.path in self.numbers:
            found = (box.path,)
        for copies in reversed(around):
            found = tuple(copy + path.removeprefix(copies[0]) for copy in copies for path in found)
        return found

    def of(self, box: Box, around: Stacks = ()) -> Sequence[float]:
        """The numbers of the nodes of a box: their sum if they add up, else each. Empty if they are not known."""
        found = [self.numbers.get(path) for path in self.paths(box, around)]
        known = [one for one in found if one is not None and math.isfinite(one)]
        if not self.adds:
            return known
        return [sum(known)] if len(known) == len(found) else ()

    def told(self, box: Box, around: Stacks = ()) -> str | None:
        """What the box prints; None where it has no number."""
        found, write = self.of(box, around), WRITTEN[self.written]
        if not found:
            lacking = [self.numbers.get(path, 0.0) for path in self.paths(box, around)]
            return "unknown" if None in lacking else None
        ends = dict.fromkeys(write(one) for one in (min(found), max(found)))
        return " … ".join(ends) + (self.unit if box.kind == "block" else "")


@dataclass(frozen=True)
class Scale:
    """Numbers from `least` to `most` as colours. Logarithmic: equal ratios look equally far apart."""

    least: float
    most: float
    log: bool

    def part(self, number: float) -> float:
        """Where a number stands on the scale, in 0..1."""
        if self.least == self.most:
            return 1.0
        if self.log:
            part = math.log(number / self.least) / math.log(self.most / self.least) if number > 0 else 0.0
        else:
            part = (number - self.least) / (self.most - self.least)
        return min(1.0, max(0.0, part))

    def step(self, number: float) -> int:
        """The number of a colour of the ramp."""
        return int(self.part(number) * (len(RAMP) - 1) + 0.5)


def middle(numbers: Sequence[float]) -> float:
    """The number by which a box for these numbers of copies is coloured: their mean."""
    return math.fsum(numbers) / len(numbers)


def scale_of(pairs: Iterable[tuple[Values, View]]) -> Scale | None:
    """The scale of all boxes of these networks, with those inside; None if nothing has a number, or nothing some.

    Logarithmic for what adds up, and for other numbers that are not negative and wide apart; shares are linear.
    """
    several = list(pairs)
    numbers, values = list(_amounts(several)), [one for one, _ in several]
    adds, shares = any(one.adds for one in values), any(one.written == "share" for one in values)
    positive = [one for one in numbers if one > 0]
    if not numbers or (adds and not positive):
        return None
    is_wide = positive and max(positive) > WIDE * min(positive) and not shares
    if adds or (is_wide and min(numbers) >= 0):
        most = max(positive)
        return Scale(max(min(positive), most / 10**MOST_DECADES), most, log=True)
    return Scale(min(numbers), max(numbers), log=False)


def _amounts(pairs: Iterable[tuple[Values, View]]) -> Iterator[float]:
    for values, view in pairs:
        for box, around in stacks(view):
            if found := values.of(box, around):
                yield middle(found)
