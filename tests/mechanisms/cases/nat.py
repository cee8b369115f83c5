"""Neighbourhood attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, normal


def letters(c, h, w, conv, options):
    return {"k": options.get("window", 7), "H": options.get("num_heads", c // 32)}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "rpb": normal(0.02),
                "qkv.weight": normal(0.02),
                "qkv.bias": ZERO,
                "proj.weight": normal(0.02),
                "proj.bias": ZERO,
            },
        )
    ],
    values=[({"window": 5}, "b 2 h w 25", -1), ({"window": 3, "num_heads": 8}, "b 8 h w 9", -1)],
    options=[{"window": 3, "dilation": 2}],
    refusals={
        ("", "keeps the shape"): "nat: window=7 at dilation=1 is larger than the map 1×1; set window to 1 or less",
        (
            "window=3 dilation=2",
            "keeps the shape",
        ): "nat: window=3 at dilation=2 is larger than the map 1×1; set window to 1 or less",
    },
    numbers={"window": [3], "num_heads": [8], "dilation": [1]},
    costs=[({"window": 3, "num_heads": 8, "dilation": 2}, [])],
    letters=letters,
    small={"window": 3},
)
