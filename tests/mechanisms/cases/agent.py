"""Agent attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, normal, uniform


def letters(c, h, w, conv, options):
    return {"m": options.get("num_agents", 49), "H": options.get("num_heads", 8)}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "qkv.weight": normal(0.02),
                "qkv.bias": ZERO,
                "proj.weight": normal(0.02),
                "proj.bias": ZERO,
                "dwc.weight": uniform(9),
                "dwc.bias": uniform(9),
                **{f"{name}_bias": normal(0.02) for name in ("an", "na", "ah", "aw", "ha", "wa")},
            },
        )
    ],
    values=[({}, "b 8 n n", -1), ({"num_agents": 4, "num_heads": 4}, "b 4 n n", -1)],
    options=[{"num_agents": 9, "num_heads": 4, "qkv_bias": False}],
    refusals={
        (words, "torch.export of any size"): "agent: built for maps of 9×11, found 14×10; build it for that size"
        for words in ("", "num_agents=9 num_heads=4 qkv_bias=False")
    },
    numbers={"num_agents": [1, 16], "num_heads": [4]},
    costs=[({"num_agents": 16, "num_heads": 4}, []), ({"qkv_bias": False}, ["without qkv_bias"])],
    letters=letters,
)
