"""The global context block as timm has it."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, C, Case, D, Short, he, uniform

LAWS = {
    "conv_attn.weight": he(C),
    "conv_attn.bias": Short(uniform(C)),
    "fc1.weight": uniform(C),
    "fc1.bias": uniform(C),
    "norm": NORM,
    "fc2.bias": uniform(D),
}

CASE = Case(
    starts=[
        ({"reduction": 2}, 1, {**LAWS, "fc2.weight": ZERO}),
        ({"reduction": 2, "fuse": "mul"}, 1, {**LAWS, "fc2.weight": uniform(D)}),
    ],
    values=[({}, "b 1 n n", -1), ({"fuse": "mul"}, "b 1 n n", -1)],
    options=[{"fuse": "mul"}],
    numbers={"reduction": [4]},
    costs=[({"reduction": 4, "fuse": "mul"}, [])],
    letters=lambda c, h, w, conv, options: {"d": c // options.get("reduction", 8)},
)
