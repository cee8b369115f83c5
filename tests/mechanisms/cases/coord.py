"""Coordinate attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, C, Case, D, he


def letters(c, h, w, conv, options):
    r, floor, step = options.get("reduction", 32), options.get("floor", 8), options.get("round_to")
    return {"d": max(floor, round(c / r / step) * step if step else c // r)}


CASE = Case(
    starts=[
        (
            {"reduction": 2},
            1,
            {
                "conv1.weight": he(D),
                "conv1.bias": ZERO,
                "bn1": NORM,
                "conv_h.weight": he(C),
                "conv_h.bias": ZERO,
                "conv_w.weight": he(C),
                "conv_w.bias": ZERO,
            },
        )
    ],
    values=[({}, "b c h w", (0, 1))],
    options=[{"reduction": 4, "bias": False}],
    numbers={"reduction": [4], "floor": [3], "round_to": [16]},
    costs=[({"reduction": 4}, []), ({"reduction": 24, "round_to": 8, "bias": False}, ["without bias"])],
    letters=letters,
)
