"""Spatial-reduction attention."""

from __future__ import annotations

import math

from tests.mechanisms.case import NORM, ZERO, C, Case, normal

STARTS = {
    f"{layer}.{part}": law for layer in ("q", "kv", "proj") for part, law in (("weight", normal(0.02)), ("bias", ZERO))
}


def letters(c, h, w, conv, options):
    r = 1 if options.get("linear_attn") else options.get("sr_ratio", 2)
    m = 49 if options.get("linear_attn") else (h // r) * (w // r)
    return {"r": r, "m": m, "H": options.get("num_heads", 8)}


CASE = Case(
    starts=[
        ({}, 1, {**STARTS, "sr": {"weight": normal(math.sqrt(2 / (4 * C))), "bias": ZERO}, "norm": NORM}),
        (
            {"linear_attn": True},
            1,
            {**STARTS, "sr": {"weight": normal(math.sqrt(2 / C)), "bias": ZERO}, "norm": NORM},
        ),
    ],
    values=[({}, "b 8 n 6", -1), ({"sr_ratio": 1}, "b 8 n n", -1), ({"linear_attn": True}, "b 8 n 49", -1)],
    options=[{"sr_ratio": 1}, {"linear_attn": True}, {"num_heads": 4, "qkv_bias": False}],
    refusals={
        (words, "keeps the shape"): "sra: a map of 1×1 cannot be reduced by 2; set sr_ratio to 1 or less"
        for words in ("", "num_heads=4 qkv_bias=False")
    },
    numbers={"num_heads": [4], "sr_ratio": [1, 3]},
    costs=[
        ({"num_heads": 4, "sr_ratio": 3}, []),
        ({"sr_ratio": 1}, ["at r = 1"]),
        ({"linear_attn": True}, []),
        ({"qkv_bias": False}, ["without qkv_bias"]),
    ],
    letters=letters,
)
