"""Dynamic convolution."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, D, he, reduced, uniform

CASE = Case(
    starts=[
        (
            {"reduction": 2},
            groups,
            {
                "weight": he(9 * C / groups),
                "fc1.weight": uniform(C),
                "fc1.bias": uniform(C),
                "fc2.weight": uniform(D),
                "fc2.bias": None,
            },
        )
        for groups in (1, C)
    ],
    values=[({}, "b 4", 1)],
    options=[{"temperature": 1.0, "num_experts": 2}],
    numbers={"num_experts": [2], "reduction": [8], "temperature": [1.0], "annealing_epochs": [0]},
    costs=[({"bias": True, "num_experts": 2}, ["with bias"]), ({"reduction": 999}, [])],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options, 4), "n": options.get("num_experts", 4)},
)
