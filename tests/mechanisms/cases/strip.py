"""Strip pooling."""

from __future__ import annotations

from tests.mechanisms.case import NORM, C, Case, he, uniform

CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "conv1.weight": he(3 * C),
                "bn1": NORM,
                "conv2.weight": he(3 * C),
                "bn2": NORM,
                "conv3.weight": he(C),
                "conv3.bias": uniform(C),
            },
        )
    ],
    values=[({}, "b c h w", (0, 1))],
)
