"""The MobileViT block."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, Case, he, normal


def letters(c, h, w, conv, options):
    p, heads = options.get("patch", 2), options.get("num_heads", 4)
    high, wide = -(-h // p), -(-w // p)
    d = options.get("dim", heads * round(1.5 * c / heads))
    return {"d": d, "l": options.get("depth", 2), "n": high * wide, "h'": p * high, "w'": p * wide, "p": p}


LINEAR = {"weight": normal(0.01), "bias": ZERO}

CASE = Case(
    starts=[
        (
            {"depth": 1, "dim": 256},
            1,
            {
                "conv_kxk.conv.weight": he(9 * 512),
                "conv_1x1.weight": he(256),
                "conv_proj.conv.weight": he(512),
                "conv_fusion.conv.weight": he(9 * 512),
                **{f"{name}.bn": NORM for name in ("conv_kxk", "conv_proj", "conv_fusion")},
                **{f"transformer.0.norm{one}": NORM for one in "12"},
                **{f"transformer.0.{name}": LINEAR for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")},
                "norm": NORM,
            },
        )
    ],
    # 12 patches of 2 × 2, of a map of 5 × 7 that is resized.
    values=[({}, "b 16 12 12", -1)],
    options=[{"dim": 24, "depth": 1, "patch": 4, "num_heads": 2}],
    numbers={"dim": [32], "depth": [1], "num_heads": [2], "patch": [1, 3]},
    costs=[({"dim": 24, "depth": 1, "patch": 4, "num_heads": 2}, [])],
    letters=letters,
)
