"""Class attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, Short, normal

TALKING = {"talking_heads": True}
STARTS = {
    **{f"{name}.weight": normal(0.02) for name in ("q", "k", "v", "proj")},
    **{f"{name}.bias": ZERO for name in ("q", "k", "v", "proj")},
}

CASE = Case(
    starts=[
        ({}, 1, STARTS),
        (
            TALKING,
            1,
            {**STARTS, **{f"proj_{one}": {"weight": Short(normal(0.02)), "bias": ZERO} for one in "lw"}},
        ),
    ],
    values=[({}, "b 8 1 n", -1), ({**TALKING, "num_heads": 4}, "b 4 1 n", None)],
    options=[{"num_heads": 4, "qkv_bias": False, "others": "zero"}, TALKING],
    numbers={"num_heads": [4]},
    costs=[
        ({"num_heads": 4, "others": "zero"}, []),
        ({"qkv_bias": False}, ["without qkv_bias"]),
        (TALKING, ["with talking_heads"]),
    ],
    letters=lambda c, h, w, conv, options: {"H": options.get("num_heads", 8)},
    small={"num_heads": 3},
    class_token=True,
    fused=["forward"],
)
