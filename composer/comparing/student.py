"""Student's t distribution for whole degrees of freedom, and the power of the t-test."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

# Points at which a power is integrated, over so many standard deviations of the estimated spread to either side.
_POINTS, _REACH = 400, 10.0


def t_within(t: float, freedom: int) -> float:
    """The probability that Student's t is between -t and t.

    t        from 0 on
    freedom  degrees of freedom, from 1 on
    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4.

    >>> round(t_within(1.0, 1), 12)
    0.5
    """
    angle = math.atan2(t, math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    # The powers of the cosine, each with its share: 1 + 2/3 cos² + 2·4/(3·5) cos⁴ …, or 1 + 1/2 cos² + ….
    term, total = 1.0, 0.0
    for index in range((freedom - odd) // 2):
        total += term
        step = 2 * index + 1 + odd
        term *= step / (step + 1) * cosine**2
    if odd:
        return 2 / math.pi * (angle + sine * cosine * total)
    return sine * total


@cache
def t_quantile(level: float, freedom: int) -> float:
    """The t for which Student's t is between -t and t with a probability of `level`.

    level    above 0 and below 1
    freedom  degrees of freedom, from 1 on

    >>> round(t_quantile(0.95, 5), 4)
    2.5706
    """
    return increasing_root(lambda t: t_within(t, freedom), level)


def t_power(distance: float, freedom: int, level: float) -> float:
    """The probability that a two-sided t-test at `level` rejects: that of the noncentral t beyond the test's limits.

    distance  the true mean by its standard error, the noncentrality
    freedom   degrees of freedom, from 1 on
    level     the probability of rejecting where the true mean is 0
    Source: Johnson, Kotz & Balakrishnan, Continuous Univariate Distributions 2, 1995, chapter 31: the normal mean's
    probability, integrated over the density of the estimated spread.

    >>> round(t_power(0.0, 5, 0.05), 6)
    0.05
    """
    limit = t_quantile(1 - level, freedom)
    width = _REACH / math.sqrt(2 * freedom)
    low, high = max(0.0, 1 - width), 1 + width
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    spread = (high - low) / 2 * nodes + (high + low) / 2
    half = freedom / 2
    log_density = (
        math.log(2) + half * math.log(half) - math.lgamma(half) + (freedom - 1) * np.log(spread) - half * spread**2
    )
    beyond = [_normal(distance - limit * one) + _normal(-distance - limit * one) for one in spread]
    return float((high - low) / 2 * np.sum(weights * np.exp(log_density) * beyond))


def increasing_root(function: Callable[[float], float], value: float) -> float:
    """The number from 0 on at which an increasing function reaches a value; infinity where it never does."""
    low, high = 0.0, 1.0
    while function(high) < value:
        low, high = high, 2 * high
        if high > 1e12:
            return math.inf
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < value else (low, middle)
    return high


def _normal(value: float) -> float:
    return math.erfc(-value / math.sqrt(2)) / 2
