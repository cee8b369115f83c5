"""BAM's spatial attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, Case, D, he, reduced

CASE = Case(
    starts=[
        (
            {"reduction": 2, "norm_at": "last"},
            1,
            {
                "conv1.weight": he(D),
                "conv2.weight": he(9 * D),
                "conv3.weight": he(9 * D),
                "conv4.weight": he(1),
                **{f"conv{layer}.bias": ZERO for layer in (1, 2, 3, 4)},
                "bn4": NORM,
            },
        )
    ],
    values=[({}, "b 1 h w", (1, 2))],
    numbers={"reduction": [4], "dilation": [2]},
    costs=[({"norm_at": "last"}, ["with the norm last"]), ({"reduction": 4}, [])],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options)},
)
