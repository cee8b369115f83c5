"""Cross-covariance attention."""

from __future__ import annotations

from tests.mechanisms.case import ONE, ZERO, Case, normal


def letters(c, h, w, conv, options):
    heads = options.get("num_heads", 8)
    return {"H": heads, "p": c // heads}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "temperature": ONE,
                "qkv.weight": normal(0.02),
                "qkv.bias": ZERO,
                "proj.weight": normal(0.02),
                "proj.bias": ZERO,
            },
        )
    ],
    values=[({}, "b 8 8 8", -1)],
    options=[{"num_heads": 4, "qkv_bias": False}],
    numbers={"num_heads": [4]},
    costs=[({"num_heads": 4}, []), ({"qkv_bias": False}, ["without qkv_bias"])],
    letters=letters,
)
