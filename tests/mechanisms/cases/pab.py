"""PAB."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, uniform

INPUTS = {"top_conv": C, "center_conv": C, "bottom_conv": 9 * C, "out_conv": 9 * C}

CASE = Case(
    starts=[
        (
            {"inner": 256},
            1,
            {name: {"weight": uniform(count), "bias": uniform(count)} for name, count in INPUTS.items()},
        )
    ],
    values=[({}, "b 1 n n", None)],
    options=[{"keep_positions": True}],
    numbers={"inner": [8]},
    costs=[({"inner": 8}, [])],
    letters=lambda c, h, w, conv, options: {"d": options.get("inner", 64)},
)
