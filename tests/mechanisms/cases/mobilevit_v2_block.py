"""The MobileViTv2 block."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, Case, he, normal


def letters(c, h, w, conv, options):
    p = options.get("patch", 2)
    sides = {"h'": -(-h // p) * p, "w'": -(-w // p) * p}
    return {"d": options.get("dim", c // 2), "l": options.get("depth", 2), "p": p, **sides}


def conv(outputs):
    return {"weight": he(outputs), "bias": ZERO}


CASE = Case(
    starts=[
        (
            {"depth": 1, "dim": 256},
            1,
            {
                # Depthwise: 2 / 9.
                "conv_kxk.conv.weight": normal((2 / 9) ** 0.5),
                "conv_1x1.weight": he(256),
                "conv_proj.conv.weight": he(512),
                **{f"{name}.bn": NORM for name in ("conv_kxk", "conv_proj")},
                **{f"transformer.0.norm{one}": NORM for one in "12"},
                "transformer.0.attn.qkv_proj": conv(513),
                "transformer.0.attn.out_proj": conv(256),
                "transformer.0.mlp.fc1": conv(512),
                "transformer.0.mlp.fc2": conv(256),
                "norm": NORM,
            },
        )
    ],
    # 12 patches of 2 × 2, of a map of 5 × 7 that is resized.
    values=[({}, "b 4 1 12", -1)],
    options=[{"dim": 24, "depth": 1, "patch": 4}],
    numbers={"dim": [32], "depth": [1], "patch": [1, 3]},
    costs=[({"dim": 24, "depth": 1, "patch": 4}, [])],
    letters=letters,
)
