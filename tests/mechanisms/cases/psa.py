"""YOLO's partial self-attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, C, Case, uniform

HALF = C // 2
FANS = {
    "cv1": C,
    "cv2": C,
    "attn.qkv": HALF,
    "attn.proj": HALF,
    "attn.pe": 9,
    "ffn.0": HALF,
    "ffn.1": C,
}

CASE = Case(
    starts=[
        (
            {},
            1,
            {
                f"{layer}.{part}": law
                for layer, fan in FANS.items()
                for part, law in (("conv", {"weight": uniform(fan)}), ("bn", NORM))
            },
        )
    ],
    values=[({}, "b 1 n n", -1), ({"num_heads": 4}, "b 4 n n", -1)],
    options=[{"num_heads": 4}],
    numbers={"num_heads": [2]},
    costs=[({"num_heads": 4}, [])],
)
