"""Multi-head self-attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, normal


def letters(c, h, w, conv, options):
    heads = options.get("num_heads", 8)
    return {"H": heads, "p": options.get("head_dim", c // heads)}


CASE = Case(
    starts=[
        ({}, 1, {"qkv.weight": normal(0.02), "qkv.bias": ZERO, "proj.weight": normal(0.02), "proj.bias": ZERO}),
    ],
    values=[({}, "b 8 n n", -1), ({"mode": "hard"}, "b 8 n n", -1)],
    options=[{"num_heads": 3, "head_dim": 10, "bias": False}, {"mode": "hard"}],
    left_out={
        ("mode=hard", "gradients are right"): "a step has no gradient; it is given that of the soft mixture, which its"
        " own test shows"
    },
    numbers={"num_heads": [4], "head_dim": [10], "std": [0.01]},
    costs=[({"num_heads": 3, "head_dim": 10}, []), ({"bias": False, "mode": "hard"}, ["without bias"])],
    letters=letters,
    fused=["forward", "backward"],
)
