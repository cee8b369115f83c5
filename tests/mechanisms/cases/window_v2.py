"""Cosine attention within windows."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, normal
from tests.mechanisms.cases.window import letters

CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "qkv.weight": normal(0.02),
                "q_bias": ZERO,
                "v_bias": ZERO,
                "proj.weight": normal(0.02),
                "proj.bias": ZERO,
                "logit_scale": None,
                "cpb_mlp.0.weight": normal(0.02),
                "cpb_mlp.0.bias": ZERO,
                "cpb_mlp.2.weight": normal(0.02),
            },
        )
    ],
    values=[({}, "b 2 h w 35", -1), ({"window": 4, "num_heads": 8, "shift": 1}, "b 8 h w 16", -1)],
    options=[{"window": 4, "shift": 2}],
    refusals={
        (words, "torch.export of any size"): "window_v2: built for maps of 9×11, found 14×10; build it for that size"
        for words in ("", "window=4 shift=2")
    },
    numbers={"window": [4], "num_heads": [8], "shift": [3]},
    costs=[({"window": 4, "num_heads": 8, "shift": 2}, [])],
    letters=letters,
    small={"window": 3},
)
