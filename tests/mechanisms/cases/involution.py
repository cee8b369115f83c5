"""Involution."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, Case, he


def letters(c, h, w, conv, options):
    o = conv[0]
    return {
        "d": max(1, c // options.get("reduction", 4)),
        "k": options.get("window", 7),
        "G": o // options.get("group_channels", 16),
        "e": 0 if o == c else c,
    }


CASE = Case(
    # Kernel and input are both rounded, and multiplied.
    noise=0.25,
    starts=[
        (
            {"window": 3},
            1,
            {
                "conv1.conv.weight": he(128),
                "conv1.bn": NORM,
                "conv2.weight": he(9 * 32),
                "conv2.bias": ZERO,
            },
        )
    ],
    values=[({}, "b 4 h w 49", None), ({"window": 3, "group_channels": 64}, "b 1 h w 9", None)],
    options=[{"window": 3, "group_channels": 64}],
    numbers={"window": [1, 3], "reduction": [999], "group_channels": [8]},
    costs=[({"window": 3, "reduction": 2, "group_channels": 8}, [])],
    letters=letters,
)
