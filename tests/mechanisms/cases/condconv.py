"""CondConv."""

from __future__ import annotations

import math

from tests.mechanisms.case import ZERO, C, Case, he

CASE = Case(
    # github.com/tensorflow/tpu, efficientnet.
    starts=[
        (
            {},
            groups,
            {
                "weight": he(9 * C / groups),
                "router.weight": ("uniform", math.sqrt(6 / (C + 8))),
                "router.bias": ZERO,
            },
        )
        for groups in (1, 32, C)
    ],
    values=[({}, "b 8", (0, 1))],
    options=[{"num_experts": 3}],
    left_out={("router=given", "*"): "it takes a second input, which the battery does not give"},
    numbers={"num_experts": [3]},
    costs=[({"num_experts": 3}, []), ({"bias": True}, ["with bias"])],
    letters=lambda c, h, w, conv, options: {"n": options.get("num_experts", 8)},
)
