"""The global context block."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, C, Case, he, uniform


def letters(c, h, w, conv, options):
    return {"d": max(2, c // options.get("reduction", 16))}


CASE = Case(
    starts=[
        (
            {"reduction": 2},
            1,
            {
                "conv_attn.weight": he(C),
                "conv_attn.bias": ZERO,
                "fc1.weight": uniform(C),
                "fc1.bias": uniform(C),
                "norm": NORM,
                "fc2.weight": ZERO,
                "fc2.bias": ZERO,
            },
        )
    ],
    values=[({}, "b 1 n n", -1), ({"fuse": "mul"}, "b 1 n n", -1)],
    options=[{"fuse": "mul"}],
    numbers={"reduction": [4]},
    costs=[({"reduction": 4, "fuse": "mul"}, [])],
    letters=letters,
)
