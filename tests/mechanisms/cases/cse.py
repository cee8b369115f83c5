"""The channel half of scSE."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, D, uniform

CASE = Case(
    starts=[
        (
            {},
            1,
            {"fc1.weight": uniform(C), "fc1.bias": uniform(C), "fc2.weight": uniform(D), "fc2.bias": uniform(D)},
        )
    ],
    values=[({}, "b c 1 1", (0, 1))],
    numbers={"reduction": [4]},
    costs=[({"reduction": 4}, []), ({"reduction": 999}, [])],
    letters=lambda c, h, w, conv, options: {"d": max(1, c // options.get("reduction", 2))},
)
