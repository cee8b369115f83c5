"""The sentences say what the numbers do, and never that there is no effect."""

from __future__ import annotations

import math

import numpy as np
import pytest

from composer.comparing.verdict import verdicts

PLAIN = [0.80, 0.81, 0.79, 0.80, 0.82, 0.80]


def better(by: float, count: int = 6) -> tuple[list[float], list[float]]:
    spread = [0.001, -0.002, 0.0, 0.002, -0.001, 0.0]
    return [one + by + more for one, more in zip(PLAIN, spread, strict=True)][:count], PLAIN[:count]


def test_a_clear_difference_is_shown() -> None:
    (found,) = verdicts({"se": better(0.02)}).values()
    assert found.word == "shown"
    assert str(found) == "shown: +2.00 points, 95 % interval +1.85 to +2.15 over 6 seeds, p = 0.031"


def test_beside_others_the_same_pairs_show_none() -> None:
    """Six pairs cannot pass the correction for two comparisons: it says how many would."""
    found = verdicts({"se": better(0.02), "eca": better(0.0)})
    assert found["se"].word == "not shown"
    assert str(found["se"]).endswith(
        "p = 0.062, corrected for 2 comparisons; no difference can be shown by 6 pairs, 7 are needed"
    )


def test_what_was_not_shown_could_have_been_by_so_much() -> None:
    (found,) = verdicts({"se": better(0.0)}).values()
    assert str(found) == (
        "not shown: +0.00 points, 95 % interval -0.15 to +0.15 over 6 seeds, p = 1.000; "
        "a true difference of 0.25 points would have been shown 4 times in 5"
    )


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fewer_than_six_pairs_name_no_significance(count: int) -> None:
    (found,) = verdicts({"se": better(0.02, count)}).values()
    assert not found.shown
    assert found.test is None
    assert "p =" not in str(found)
    assert str(found).endswith("and significance takes 6 pairs here")


def test_a_variant_without_a_pair_counts_among_the_declared() -> None:
    found = verdicts({"se": better(0.02), "gone": ([], [])})
    assert str(found["gone"]) == "not shown: no seed was finished by both"
    assert found["se"].corrected == pytest.approx(2 * 2 / 64)
    assert math.isinf(found["gone"].smallest)


def test_runs_that_do_not_scatter_could_have_shown_nobody_knows_what() -> None:
    (found,) = verdicts({"se": (PLAIN, PLAIN)}).values()
    assert str(found).endswith("these runs do not scatter, so what they could have shown is not known")


def test_new_images_have_an_interval_of_their_own() -> None:
    draw = np.random.default_rng(0)
    plain = draw.random((6, 500)) < 0.7
    images = {"far": (np.ones((6, 500)), plain * 1.0), "near": (plain * 1.0, plain * 1.0)}
    found = verdicts({"far": better(0.3), "near": better(0.0)}, images)
    assert "which leaves out 0" in found["far"].for_new_images
    assert found["near"].for_new_images == (
        "for new images and seeds the interval is +0.00 to +0.00, which holds 0: not shown for new images"
    )
    assert verdicts({"se": better(0.0)})["se"].for_new_images == ""
    few = verdicts({"far": better(0.3, 5)}, {"far": (np.ones((5, 500)), plain[:5] * 1.0)})["far"]
    assert few.images is None
    assert few.for_new_images == ""


def test_no_sentence_speaks_of_no_effect() -> None:
    for by in (0.0, 0.001, -0.02, 0.02):
        for count in range(7):
            for one in verdicts({"se": better(by, count), "eca": better(0.0)}).values():
                assert "no effect" not in str(one)
                assert str(one).startswith(one.word)


def test_scores_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="`se` has 1 scores, and the network beside it 2"):
        verdicts({"se": ([0.1], [0.1, 0.2])})
