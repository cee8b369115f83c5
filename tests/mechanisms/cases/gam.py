"""The global attention mechanism."""

from __future__ import annotations

from tests.mechanisms.case import NORM, C, Case, D, uniform

CASE = Case(
    starts=[
        (
            {"reduction": 2, "kernel_size": 3},
            1,
            {
                "fc1.weight": uniform(C),
                "fc1.bias": uniform(C),
                "fc2.weight": uniform(D),
                "fc2.bias": uniform(D),
                "conv1.weight": uniform(9 * C),
                "conv1.bias": uniform(9 * C),
                "bn1": NORM,
                "conv2.weight": uniform(9 * D),
                "conv2.bias": uniform(9 * D),
                "bn2": NORM,
            },
        )
    ],
    values=[({}, "b c h w", (0, 1))],
    options=[{"kernel_size": 3, "reduction": 16}],
    numbers={"reduction": [8], "kernel_size": [3]},
    costs=[({"reduction": 8, "kernel_size": 3}, [])],
    letters=lambda c, h, w, conv, options: {"d": c // options.get("reduction", 4), "k": options.get("kernel_size", 7)},
)
