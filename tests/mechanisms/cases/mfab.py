"""MFAB."""

from __future__ import annotations

from tests.mechanisms.case import NORM, C, Case, D, reduced, uniform

SE = {"fc1": {"weight": uniform(C), "bias": uniform(C)}, "fc2": {"weight": uniform(D), "bias": uniform(D)}}
INPUTS = {"high1": 9 * C, "high2": C, "conv1": 18 * C, "conv2": 9 * C}

CASE = Case(
    starts=[
        (
            {"reduction": 2},
            1,
            {
                **{f"{name}.conv.weight": uniform(count) for name, count in INPUTS.items()},
                **{f"{name}.bn": NORM for name in INPUTS},
                **{f"{name}.{layer}": law for name in ("se_high", "se_skip") for layer, law in SE.items()},
            },
        )
    ],
    values=[({}, "b c 1 1", (0, 2))],
    numbers={"reduction": [4], "out_channels": [24]},
    costs=[({"reduction": 4}, []), ({"out_channels": 24}, [])],
    # The coarse map is as large as the skip connection.
    letters=lambda c, h, w, conv, options: {
        "d": reduced(c, options),
        "e": c,
        "i": h,
        "j": w,
        "o": options.get("out_channels", c),
    },
)
