"""Self-attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, normal

CASE = Case(
    starts=[
        ({}, 1, {"qkv.weight": normal(0.02), "qkv.bias": ZERO, "proj.weight": normal(0.02), "proj.bias": ZERO}),
    ],
    values=[({}, "b 1 n n", -1)],
    numbers={"head_dim": [10]},
    costs=[({"head_dim": 10, "bias": False}, ["without bias"])],
    letters=lambda c, h, w, conv, options: {"p": options.get("head_dim", 64)},
    fused=["forward", "backward"],
)
