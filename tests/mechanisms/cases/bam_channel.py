"""BAM's channel attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ONE_IMAGE, ZERO, C, Case, D, reduced, uniform

CASE = Case(
    starts=[
        (
            {"reduction": 2},
            1,
            {"fc1.weight": uniform(C), "fc2.weight": uniform(D), "fc1.bias": ZERO, "fc2.bias": ZERO, "bn": NORM},
        )
    ],
    values=[({}, "b c 1 1", (1, 2))],
    refusals=ONE_IMAGE,
    numbers={"reduction": [4]},
    costs=[({"norm_at": "last"}, ["with the norm last"]), ({"reduction": 4}, [])],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options)},
)
