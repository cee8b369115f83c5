"""Multi-head self-attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, Case, normal


def letters(c, h, w, conv, options):
    heads = options.get("num_heads", 8)
    return {"H": heads, "p": options.get("head_dim", c // heads)}


STARTS = {"qkv.weight": normal(0.02), "qkv.bias": ZERO, "proj.weight": normal(0.02), "proj.bias": ZERO}

CASE = Case(
    starts=[
        ({}, 1, STARTS),
        (
            {"positions": "relative", "num_sinks": 2, "gated": True, "layer_scale": 0.5, "qk_norm": True},
            1,
            {
                **STARTS,
                "relative.grid.relative_position_bias_table": normal(0.02),
                "sinks": normal(0.02),
                "gate.weight": normal(0.02),
                "gate.bias": ZERO,
                "gamma": ("constant", 0.5),
                "q_norm": NORM,
                "k_norm": NORM,
            },
        ),
    ],
    values=[
        ({}, "b 8 n n", -1),
        ({"mode": "hard"}, "b 8 n n", -1),
        ({"positions": "relative"}, "b 8 n n", -1),
        ({"positions": "rotary"}, "b 8 n n", -1),
        ({"num_sinks": 2, "num_kv_heads": 4}, "b 8 n 37", -1),
        ({"talking_heads": True}, "b 8 n n", None),
    ],
    options=[
        {"num_heads": 3, "head_dim": 10, "bias": False},
        {"mode": "hard"},
        {"positions": "relative"},
        {"positions": "rotary", "qk_norm": True},
        {"talking_heads": True},
        {"num_kv_heads": 2, "num_sinks": 2, "gated": True, "layer_scale": 0.1},
    ],
    refusals={
        (
            words,
            "torch.export of any size",
        ): "mhsa: its positions were built for 99 tokens, found 140; build it for those"
        for words in ("positions=relative", "positions=rotary qk_norm=True")
    },
    left_out={
        ("mode=hard", "gradients are right"): "a step has no gradient; it is given that of the soft mixture, which its"
        " own test shows"
    },
    numbers={
        "num_heads": [4],
        "head_dim": [10],
        "std": [0.01],
        "num_kv_heads": [1, 4],
        "num_sinks": [2],
        "layer_scale": [0.1],
    },
    costs=[({"num_heads": 3, "head_dim": 10}, []), ({"bias": False, "mode": "hard"}, ["without bias"])],
    letters=letters,
    fused=["forward", "backward"],
)
