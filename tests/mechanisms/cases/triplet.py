"""Triplet attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, Case, he

CASE = Case(
    starts=[
        (
            {"kernel_size": 31},
            1,
            {
                **{f"{gate}.conv.weight": he(31**2) for gate in ("cw", "hc", "hw")},
                **{f"{gate}.bn": NORM for gate in ("cw", "hc")},
                "hw.bn": {"weight": ZERO, "bias": ZERO},
            },
        )
    ],
    values=[({}, "b c h w", (0, 1)), ({"spatial": False}, "b c h w", (0, 1))],
    options=[{"kernel_size": 3, "spatial": False}],
    numbers={"kernel_size": [3]},
    costs=[({"kernel_size": 3}, []), ({"spatial": False}, ["without spatial"])],
    letters=lambda c, h, w, conv, options: {"k": options.get("kernel_size", 7)},
)
