"""CBAM."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, C, Case, D, he, reduced, uniform

CASE = Case(
    starts=[
        (
            {"reduction": 2, "kernel_size": 31},
            1,
            {
                "channel.fc1.weight": uniform(C),
                "channel.fc1.bias": ZERO,
                "channel.fc2.weight": uniform(D),
                "channel.fc2.bias": ZERO,
                "spatial.conv.weight": he(31**2),
                "spatial.conv.bias": ZERO,
            },
        )
    ],
    values=[({}, "b c h w", (0, 1))],
    options=[{"norm": True}],
    numbers={"reduction": [4], "kernel_size": [3]},
    costs=[({"bias": False, "kernel_size": 3}, ["without bias"]), ({"norm": True, "reduction": 2}, ["with norm"])],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options), "k": options.get("kernel_size", 7)},
)
