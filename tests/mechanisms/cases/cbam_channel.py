"""CBAM's channel attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, C, Case, D, reduced, uniform

CASE = Case(
    starts=[
        (
            {"reduction": 2},
            1,
            {"fc1.weight": uniform(C), "fc1.bias": ZERO, "fc2.weight": uniform(D), "fc2.bias": ZERO},
        )
    ],
    values=[({}, "b c 1 1", (0, 1))],
    numbers={"reduction": [4]},
    costs=[({"bias": False, "reduction": 8}, ["without bias"])],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options)},
)
