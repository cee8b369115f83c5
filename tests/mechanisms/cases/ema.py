"""Efficient multi-scale attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, Case, D, uniform

CASE = Case(
    starts=[
        (
            {"groups": 2},
            1,
            {
                "conv1x1.weight": uniform(D),
                "conv1x1.bias": uniform(D),
                "conv3x3.weight": uniform(9 * D),
                "conv3x3.bias": uniform(9 * D),
                "gn": NORM,
            },
        )
    ],
    values=[({}, "b c h w", (0, 1)), ({"groups": 1}, "b c h w", (0, 1))],
    options=[{"groups": 8}],
    numbers={"groups": [4]},
    costs=[({"groups": 4}, [])],
    letters=lambda c, h, w, conv, options: {"d": c // options.get("groups", 32)},
)
