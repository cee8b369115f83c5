"""What paired runs show of a variant, in numbers and in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer.amounts import plural
from composer.comparing.statistics import (
    ERROR,
    POWER,
    Interval,
    SignFlip,
    crossed_bootstrap,
    fewest_pairs,
    holm,
    paired,
    sign_flip,
    smallest_shown,
)

Scores = NDArray[np.float64]
# Fewer pairs name no significance: of five, the smallest p value is 0.0625.
FEWEST = 6


@dataclass(frozen=True)
class Verdict:
    """How a variant compares with the network beside it, over the seeds that both finished.

    pairs        how many seeds both finished
    declared     how many comparisons were declared before the first run
    seeds        for these images: the mean difference with its t interval; None without a pair
    images       for new images: the same with the interval of the crossed bootstrap; None for fewer than six pairs
    test         the test by signs; None for fewer than six pairs
    corrected    its p value, corrected for all comparisons that were declared
    smallest     the smallest difference that so many pairs would have shown four times in five; infinity for none
    """

    pairs: int
    declared: int
    seeds: Interval | None
    images: Interval | None
    test: SignFlip | None
    corrected: float | None
    smallest: float

    @property
    def shown(self) -> bool:
        """Whether the runs show a difference, for these images."""
        return self.corrected is not None and self.corrected <= ERROR

    @property
    def word(self) -> str:
        """`shown` or `not shown`. That none was shown does not say that there is none."""
        return "shown" if self.shown else "not shown"

    def __str__(self) -> str:
        """The verdict as a sentence; differences are in points, hundredths of the images.

        >>> found = verdicts({"se": ([0.81, 0.82, 0.80, 0.83, 0.81, 0.82], [0.80, 0.80, 0.79, 0.81, 0.80, 0.80])})
        >>> print(found["se"])
        shown: +1.50 points, 95 % interval +0.93 to +2.07 over 6 seeds, p = 0.031
        """
        if self.seeds is None:
            return "not shown: no seed was finished by both"
        mean = f"{_points(self.seeds.mean)} points"
        if self.test is None:
            least = fewest_pairs(self.declared)
            return f"not shown: {mean} over {plural(self.pairs, 'seed')}, and significance takes {least} pairs here"
        over = f"{_between(self.seeds)} over {self.pairs} seeds"
        of = f", corrected for {self.declared} comparisons" if self.declared > 1 else ""
        tested = f"p = {_p(self.corrected)}{of}"
        if self.shown:
            return f"shown: {mean}, {over}, {tested}"
        if math.isinf(self.smallest):
            could = f"no difference can be shown by {self.pairs} pairs, {fewest_pairs(self.declared)} are needed"
        elif not self.smallest:
            could = "these runs do not scatter, so what they could have shown is not known"
        else:
            could = f"a true difference of {100 * self.smallest:.2f} points would have been shown 4 times in 5"
        return f"not shown: {mean}, {over}, {tested}; {could}"

    @property
    def for_new_images(self) -> str:
        """The same for images that were not seen, as a sentence; empty where it is not known."""
        if self.images is None or self.images.low is None:
            return ""
        word = "leaves out 0" if self.images.leaves_out_zero else "holds 0: not shown for new images"
        return f"for new images and seeds the interval is {_between(self.images, named=False)}, which {word}"


def verdicts(
    arms: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    images: Mapping[str, tuple[Scores, Scores]] | None = None,
) -> dict[str, Verdict]:
    """The verdict on each variant, all comparisons corrected together.

    arms    of each variant that was declared: its score and the other's of each seed that both finished, in one order;
            both empty if none was
    images  of each variant with a pair: `s n`, the scores by seed and image of both
    Raises ValueError for scores that do not pair or are no finite numbers.
    """
    differences = {name: np.subtract(*map(np.asarray, _paired(name, pair))) for name, pair in arms.items()}
    tests = {name: sign_flip(one) if len(one) >= FEWEST else None for name, one in differences.items()}
    values = [None if test is None else test.p for test in tests.values()]
    corrected = dict(zip(arms, holm(values), strict=True))
    # The hardest step of Holm's correction: what passes it passes whatever the others show.
    error = ERROR / len(arms) if arms else ERROR
    found = {}
    for name, one in differences.items():
        number = len(one)
        smallest = smallest_shown(float(one.std(ddof=1)), number, power=POWER, error=error) if number > 1 else math.inf
        both = (images or {}).get(name)
        found[name] = Verdict(
            pairs=number,
            declared=len(arms),
            seeds=paired(one) if number else None,
            images=crossed_bootstrap(*both) if both is not None and number >= FEWEST else None,
            test=tests[name],
            corrected=corrected[name],
            smallest=smallest,
        )
    return found


def _paired(name: str, pair: tuple[Sequence[float], Sequence[float]]) -> tuple[Sequence[float], Sequence[float]]:
    if len(pair[0]) != len(pair[1]):
        raise ValueError(f"`{name}` has {len(pair[0])} scores, and the network beside it {len(pair[1])}")
    return pair


def _points(difference: float) -> str:
    # Adding 0 turns -0 into 0.
    return f"{round(100 * difference, 2) + 0.0:+.2f}"


def _between(interval: Interval, named: bool = True) -> str:
    assert interval.low is not None
    assert interval.high is not None
    words = f"{100 * interval.level:.0f} % interval " if named else ""
    return f"{words}{_points(interval.low)} to {_points(interval.high)}"


def _p(value: float | None) -> str:
    assert value is not None
    return f"{value:.3f}" if value >= 0.0005 else f"{value:.1e}"
