"""Outlook attention."""

from __future__ import annotations

import math

from tests.mechanisms.case import ZERO, Case, normal


def letters(c, h, w, conv, options):
    s = options.get("stride", 1)
    return {
        "e": options.get("kernel_size", 3) ** 4,
        "H": options.get("num_heads", c // 32),
        "h'": math.ceil(h / s),
        "w'": math.ceil(w / s),
    }


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "v.weight": normal(0.02),
                "attn.weight": normal(0.02),
                "attn.bias": ZERO,
                "proj.weight": normal(0.02),
                "proj.bias": ZERO,
            },
        )
    ],
    values=[({}, "b 2 n n", None), ({"num_heads": 4, "stride": 2}, "b 4 n n", None)],
    options=[{"stride": 2, "num_heads": 4}],
    numbers={"kernel_size": [1, 5], "stride": [2], "num_heads": [4]},
    costs=[({"kernel_size": 5, "stride": 2, "num_heads": 4}, [])],
    letters=letters,
)
