"""Intervals hold the truth as often as they say, the test errs as seldom as it says; both against scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from composer.comparing import statistics
from composer.comparing.statistics import (
    crossed_bootstrap,
    fewest_pairs,
    holm,
    paired,
    sign_flip,
    smallest_shown,
)
from composer.comparing.student import increasing_root, t_power, t_quantile, t_within


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 8, 19, 50, 999])
def test_students_t_is_scipys(freedom: int) -> None:
    for level in (0.01, 0.5, 0.9, 0.95, 0.99, 0.9999):
        assert t_quantile(level, freedom) == pytest.approx(scipy.stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)
    for t in (0.0, 0.1, 1.0, 3.0, 50.0):
        assert t_within(t, freedom) == pytest.approx(1 - 2 * scipy.stats.t.sf(t, freedom), abs=1e-12)


@pytest.mark.parametrize("freedom", [2, 3, 5, 19, 50])
def test_the_power_is_that_of_scipys_noncentral_t(freedom: int) -> None:
    for error, distance in itertools.product((0.05, 0.01), (0.0, 0.5, 2.0, 4.0)):
        limit = scipy.stats.t.isf(error / 2, freedom)
        theirs = scipy.stats.nct.sf(limit, freedom, distance) + scipy.stats.nct.cdf(-limit, freedom, distance)
        assert t_power(distance, freedom, error) == pytest.approx(theirs, abs=1e-9)


def test_a_function_that_stays_below_has_no_root() -> None:
    assert increasing_root(math.tanh, 2.0) == math.inf
    assert increasing_root(math.sqrt, 3.0) == pytest.approx(9.0)


def test_the_paired_interval_is_scipys() -> None:
    differences = np.random.default_rng(0).normal(0.5, 2, 9)
    found = paired(differences, 0.9)
    low, high = scipy.stats.ttest_1samp(differences, 0).confidence_interval(0.9)
    assert (found.mean, found.low, found.high) == pytest.approx((differences.mean(), low, high), rel=1e-9)
    assert found.number == 9
    assert paired([0.5]).low is None
    assert not paired([0.5]).leaves_out_zero
    assert paired([0.5, 0.5]).leaves_out_zero


def test_the_paired_interval_holds_the_truth_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1).normal(0.3, 1, (4000, 6))
    found = [paired(one) for one in draws]
    held = np.mean([one.low <= 0.3 <= one.high for one in found if one.low is not None and one.high is not None])
    assert 0.94 < held < 0.96


def crossed(seed: int, seeds: int, images: int, spread: tuple[float, float, float]) -> np.ndarray:
    """Differences with a true mean of 0: those of a seed, of an image, and of both together vary."""
    draw = np.random.default_rng(seed)
    sizes = [(seeds, 1), (1, images), (seeds, images)]
    parts = [draw.normal(0, one, size) for one, size in zip(spread, sizes, strict=True)]
    return sum(parts, np.zeros((seeds, images)))


@pytest.mark.parametrize(
    "spread",
    [*(pytest.param(one, marks=pytest.mark.slow) for one in ((0.3, 0.0, 1.0), (0.05, 1.0, 1.0))), (0.2, 1.0, 1.0)],
)
def test_the_crossed_interval_holds_the_truth_at_least_as_often_as_it_says(spread: tuple[float, float, float]) -> None:
    """With six seeds; where images vary more than seeds, the t interval over seeds fails, for it is of these images."""
    hits, by_seeds = [], []
    for seed in range(200):
        found = crossed(seed, 6, 100, spread)
        one = crossed_bootstrap(found, np.zeros_like(found), draws=2000)
        other = paired(found.mean(1))
        hits.append(not one.leaves_out_zero)
        by_seeds.append(not other.leaves_out_zero)
    assert np.mean(hits) >= 0.93
    if spread[1] > spread[0]:
        assert np.mean(by_seeds) < 0.9


def test_the_crossed_interval_narrows_with_seeds_and_images() -> None:
    def width(seeds: int, images: int) -> float:
        found = crossed(0, seeds, images, (0.1, 1.0, 1.0))
        one = crossed_bootstrap(found, np.zeros_like(found), draws=2000)
        assert one.low is not None
        assert one.high is not None
        return one.high - one.low

    assert width(30, 2000) < 0.5 * width(6, 200)


def test_images_of_a_kind_are_drawn_as_single_ones_would_be() -> None:
    """Right and wrong, which make few kinds, against the same values with a trace that makes every image its own."""
    draw = np.random.default_rng(3)
    one, other = draw.random((6, 300)) < 0.8, draw.random((6, 300)) < 0.7
    found = crossed_bootstrap(one, other)
    apart = crossed_bootstrap(one + 1e-9 * np.arange(300), other)
    assert found.mean == pytest.approx(one.mean() - other.mean())
    assert (found.low, found.high) == pytest.approx((apart.low, apart.high), abs=0.004)
    assert found == crossed_bootstrap(one, other)
    assert found.number == 10_000
    assert crossed_bootstrap(one[:1], other[:1]).low is None
    # What four seeds would need lies beyond all draws.
    assert crossed_bootstrap(one[:4], other[:4]).low is None
    assert crossed_bootstrap(one[:5], other[:5]).low is not None


@pytest.mark.parametrize("number", [2, 5, 6, 9])
def test_the_test_by_signs_is_scipys(number: int) -> None:
    differences = np.random.default_rng(number).normal(0.5, 1, number)
    theirs = scipy.stats.permutation_test(
        (differences, np.zeros(number)), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples"
    )
    found = sign_flip(differences)
    assert found.p == pytest.approx(theirs.pvalue)
    assert (found.flips, found.exact) == (2**number, True)


def test_equal_sums_count_as_equal() -> None:
    assert sign_flip([0.1, 0.2, 0.3, -0.1, -0.2, -0.3]).p == 1
    assert sign_flip([0.1] * 6).p == 2 / 64
    assert sign_flip([0.0] * 6).p == 1


def test_random_signs_come_near_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, 16)
    exact = sign_flip(differences)
    monkeypatch.setattr(statistics, "MOST_EXACT", 10)
    found = sign_flip(differences)
    assert not found.exact
    assert found.flips == 100_000
    assert found.p == pytest.approx(exact.p, abs=0.005)
    # Never zero: the signs as they are count too.
    assert sign_flip(np.ones(40)).p == 1e-5


def test_the_test_errs_as_seldom_as_it_says() -> None:
    draw = np.random.default_rng(2)
    for number, error in ((6, 0.05), (8, 0.05), (8, 0.01)):
        rejected = np.mean([sign_flip(draw.normal(0, 1, number)).p <= error for _ in range(2000)])
        # The share of ways that may be called extreme.
        exact = math.floor(error * 2 ** (number - 1)) / 2 ** (number - 1)
        assert rejected == pytest.approx(exact, abs=3 * math.sqrt(exact / 2000))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []
    assert holm([None]) == [None]


def test_holm_keeps_the_chance_of_any_false_finding() -> None:
    draw = np.random.default_rng(4)
    any_false = [
        min(p for p in holm([sign_flip(one).p for one in draw.normal(0, 1, (4, 9))]) if p is not None) <= 0.05
        for _ in range(1000)
    ]
    assert np.mean(any_false) <= 0.065


@pytest.mark.parametrize("comparisons", [1, 2, 3, 10])
def test_the_fewest_pairs_can_just_show_a_difference(comparisons: int) -> None:
    number = fewest_pairs(comparisons)
    assert comparisons * sign_flip([1.0] * number).p <= 0.05
    assert number == 6 or comparisons * sign_flip([1.0] * (number - 1)).p > 0.05


def test_six_pairs_show_what_they_all_agree_on() -> None:
    """Of six pairs the test needs six equal signs: the power is Φ(d)⁶, but for the other side."""
    distance = smallest_shown(1.0, 6)
    assert scipy.stats.norm.cdf(distance) ** 6 == pytest.approx(0.8, abs=0.02)
    assert smallest_shown(2.5, 6) == pytest.approx(2.5 * distance)


@pytest.mark.parametrize("number", [8, 13, 20])
def test_what_is_said_to_be_shown_is_shown_four_times_in_five(number: int) -> None:
    draws = np.random.default_rng(5).normal(smallest_shown(1.0, number), 1, (400, number))
    if number == 20:
        shown = scipy.stats.ttest_1samp(draws, 0, axis=1).pvalue <= 0.05
    else:
        shown = np.array([sign_flip(one).p <= 0.05 for one in draws])
    assert shown.mean() == pytest.approx(0.8, abs=0.06)


def test_too_few_pairs_show_nothing() -> None:
    assert smallest_shown(1.0, 6, error=0.05 / 2) == math.inf
    assert smallest_shown(0.0, 6) == 0
    assert smallest_shown(0.0, 3) == math.inf


@pytest.mark.parametrize("values", [[], [[1.0]], [math.nan], [math.inf, 1.0]])
def test_what_is_no_list_of_numbers_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers along 1 axes are needed, not an array of shape"):
        paired(values)
    with pytest.raises(ValueError, match="finite numbers"):
        sign_flip(values)
    with pytest.raises(ValueError, match="draws=0"):
        crossed_bootstrap([[1.0]], [[1.0]], draws=0)
