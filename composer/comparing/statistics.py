"""How sure a difference is that paired runs measured: intervals, an exact test, what could have been seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from composer.comparing.student import increasing_root, t_power, t_quantile

Numbers = NDArray[np.float64]
LEVEL, ERROR, POWER = 0.95, 0.05, 0.8
# All signs of so few differences are tried; of more, so many random ones.
MOST_EXACT, RANDOM_FLIPS = 20, 99_999
# The power of the test by signs is counted on samples for so few pairs; for more it is that of the t-test.
MOST_COUNTED, SAMPLES = 12, 2000
# Percentiles with fewer draws beyond them are not told.
_FEWEST_BEYOND = 2
# So many numbers at once are held in memory.
_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Interval:
    """A mean, and the interval that holds the true one with a probability of `level`; None where nothing bounds it.

    number  how many differences it is of; of a bootstrap, how many draws
    """

    mean: float
    low: float | None
    high: float | None
    level: float
    number: int

    @property
    def leaves_out_zero(self) -> bool:
        """Whether 0 is outside."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class SignFlip:
    """The two-sided p value of the test by signs.

    flips  how many ways to choose the signs it counts
    exact  whether these are all
    """

    p: float
    flips: int
    exact: bool


def paired(differences: ArrayLike, level: float = LEVEL) -> Interval:
    """The mean of paired differences, with Student's t interval: for these images, over seeds.

    differences  `s`, one of each pair of runs
    level        how often such an interval holds the true mean
    Raises ValueError for differences that are no finite numbers.
    Source: Student, The Probable Error of a Mean, Biometrika 6, 1908.

    >>> found = paired([0.8, 1.2, 1.0])
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (1.0, 0.503, 1.497)
    """
    found = _checked(differences, 1)
    mean, number = float(found.mean()), len(found)
    if number < 2:
        return Interval(mean, None, None, level, number)
    half = t_quantile(level, number - 1) * float(found.std(ddof=1)) / math.sqrt(number)
    return Interval(mean, mean - half, mean + half, level, number)


def crossed_bootstrap(
    correct: ArrayLike, other: ArrayLike, *, level: float = LEVEL, draws: int = 10_000, seed: int = 0
) -> Interval:
    """The mean difference of two networks over seeds and images, with its interval: for new seeds and new images.

    correct, other  `s n`: of each seed and image whether it was right, or a score; row for row of the same seed
    draws           how often seeds and images are drawn with replacement, both in each draw
    seed            of these draws
    Raises ValueError for arrays of other shapes, or values that are no finite numbers.

    A draw weighs each pair by how often its seed and its image were drawn, so runs and images vary together. The
    interval is between percentiles of the draws' means. Those of few seeds spread too little: the percentiles lie
    farther out, as far as Student's t of as many seeds lies beyond the normal distribution. Fewer than five seeds put
    them beyond all 10,000 draws: then there is no interval.
    Source: Owen, The Pigeonhole Bootstrap, Annals of Applied Statistics 1(2), 2007; the percentiles: Hesterberg, What
    Teachers Should Know About the Bootstrap, American Statistician 69(4), 2015, section 5.3.
    """
    found = _checked(correct, 2) - _checked(other, 2)
    if draws < 1:
        raise ValueError(f"draws={draws}: it is at least 1")
    seeds, images = found.shape
    mean = float(found.mean())
    outside = _normal(-math.sqrt(seeds / (seeds - 1)) * t_quantile(level, seeds - 1)) if seeds > 1 else 0.0
    if outside * draws < _FEWEST_BEYOND or images < 2:
        return Interval(mean, None, None, level, draws)
    # Images on which all runs did the same are drawn together: of right and wrong there are few such kinds.
    kinds, counts = np.unique(found, axis=1, return_counts=True)
    random = np.random.default_rng(seed)
    means: list[Numbers] = []
    for first in range(0, draws, step := max(1, _AT_ONCE // len(counts))):
        size = min(step, draws - first)
        rows = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=size) / seeds
        columns = random.multinomial(images, counts / images, size=size) / images
        means.append(np.einsum("ds,ds->d", rows, columns @ kinds.T))
    low, high = np.quantile(np.concatenate(means), [outside, 1 - outside])
    return Interval(mean, float(low), float(high), level, draws)


def sign_flip(differences: ArrayLike, *, seed: int = 0) -> SignFlip:
    """The two-sided p value of the mean under exchange of the networks within pairs: all signs of the differences.

    differences  `s`, one of each pair of runs
    seed         of the random signs if there are more than 20 differences
    Raises ValueError for differences that are no finite numbers.

    The signs as they are count as one of the ways, so p is never 0.
    Source: Fisher, The Design of Experiments, 1935, section 21; random signs: Phipson & Smyth, Permutation P-values
    Should Never Be Zero, Statistical Applications in Genetics and Molecular Biology 9(1), 2010.

    >>> sign_flip([1.0, 2.0, 0.5, 1.5, 1.0, 3.0])
    SignFlip(p=0.03125, flips=64, exact=True)
    """
    found = _checked(differences, 1)
    # Sums that are equal in exact arithmetic must count as equal.
    reached = abs(float(found.sum())) - 1e-9 * float(np.abs(found).sum())
    if len(found) <= MOST_EXACT:
        sums = np.zeros(1)
        for one in found:
            sums = np.concatenate([sums + one, sums - one])
        return SignFlip(float(np.mean(np.abs(sums) >= reached)), len(sums), True)
    random = np.random.default_rng(seed)
    extreme = 0
    for first in range(0, RANDOM_FLIPS, step := max(1, _AT_ONCE // len(found))):
        signs = 2.0 * random.integers(2, size=(min(step, RANDOM_FLIPS - first), len(found))) - 1
        extreme += int(np.count_nonzero(np.abs(signs @ found) >= reached))
    return SignFlip((extreme + 1) / (RANDOM_FLIPS + 1), RANDOM_FLIPS + 1, False)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values, corrected so that the chance of any false finding among all of them is what a single one would have.

    values  of all comparisons that were declared; None for one that has no p value, which counts among them
    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6, 1979.

    >>> holm([0.01, 0.04, None])
    [0.03, 0.08, None]
    """
    order = sorted((p, index) for index, p in enumerate(values) if p is not None)
    found: list[float | None] = [None] * len(values)
    least = 0.0
    for rank, (p, index) in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * p))
        found[index] = least
    return found


def fewest_pairs(comparisons: int, error: float = ERROR) -> int:
    """The pairs of runs from which on the test by signs, corrected for so many comparisons, can fall to `error`.

    >>> fewest_pairs(1), fewest_pairs(5)
    (6, 8)
    """
    return next(number for number in range(6, 64) if comparisons * 2.0 ** (1 - number) <= error)


def smallest_shown(spread: float, number: int, *, power: float = POWER, error: float = ERROR) -> float:
    """The smallest true mean difference that so many pairs would have shown, with a probability of `power`.

    spread  standard deviation of the differences
    number  how many pairs there are
    error   the p value at which a difference is shown, corrected for the number of comparisons
    Infinity where no differences could have shown any. Up to twelve pairs, it is that of the test by signs, counted
    over 2,000 normal samples; beyond, of the t-test, which that test comes near.
    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, chapter 2.

    >>> round(smallest_shown(0.5, 20), 3)
    0.33
    >>> smallest_shown(0.5, 5)
    inf
    """
    return spread * _distance(number, power, error) if spread else (0.0 if _can_show(number, error) else math.inf)


def _can_show(number: int, error: float) -> bool:
    return number > 1 and 2.0 ** (1 - number) <= error


@cache
def _distance(number: int, power: float, error: float) -> float:
    """The smallest difference that is shown, in standard deviations."""
    if not _can_show(number, error):
        return math.inf
    if number > MOST_COUNTED:
        return increasing_root(lambda one: t_power(one, number - 1, error), power) / math.sqrt(number)
    samples = np.random.default_rng(0).standard_normal((SAMPLES, number))
    # The first sign may stay: all signs turned give the same size of sum.
    bits = np.arange(2 ** (number - 1))[:, None] >> np.arange(number - 1)
    signs = np.concatenate([np.ones((len(bits), 1)), 1.0 - 2 * (bits & 1)], axis=1).T

    def shown(distance: float) -> float:
        sums = np.abs((samples + distance) @ signs)
        return float(np.mean(np.mean(sums >= sums[:, :1] - 1e-9, axis=1) <= error))

    return _root(shown, power)


def _root(function: Any, value: float) -> float:
    """As `increasing_root`, of a function in steps: to four digits."""
    low, high = 0.0, 1.0
    while function(high) < value:
        low, high = high, 2 * high
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < value else (low, middle)
    return high


def _normal(value: float) -> float:
    return math.erfc(-value / math.sqrt(2)) / 2


def _checked(values: ArrayLike, axes: int) -> Numbers:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != axes or not found.size or not np.isfinite(found).all():
        raise ValueError(f"finite numbers along {axes} axes are needed, not an array of shape {found.shape}")
    return found
