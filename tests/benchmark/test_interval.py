"""The interval of a ratio holds the truth as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from composer.benchmark.interval import paired_ratio


def test_it_is_scipys_bootstrap() -> None:
    draw = np.random.default_rng(1)
    times, others = draw.lognormal(0.1, 0.3, 40), draw.lognormal(0, 0.1, 40)
    found = paired_ratio(times, others)
    theirs = scipy.stats.bootstrap(
        (times / others,), np.median, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.value == pytest.approx(np.median(times / others))
    assert found.low == pytest.approx(theirs.low, rel=0.01)
    assert found.high == pytest.approx(theirs.high, rel=0.01)


@pytest.mark.parametrize(("factor", "least"), [(1.0, 0.0), (1.3, 0.9)])
def test_a_difference_is_shown_where_there_is_one(factor: float, least: float) -> None:
    """Of 200 pairs of equal networks, about 5 % may seem to differ; those that differ much nearly all do."""
    draw = np.random.default_rng(0)
    shown = [paired_ratio(factor * draw.lognormal(0, 0.2, 30), draw.lognormal(0, 0.2, 30)).shown for _ in range(200)]
    assert least <= np.mean(shown) <= (0.1 if factor == 1 else 1)


def test_it_says_so() -> None:
    assert str(paired_ratio([1.0, 1.2, 0.9], [1.1, 1.0, 1.0])) == "no difference shown"
    assert not paired_ratio([1.0], [1.0]).shown
