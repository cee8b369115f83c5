"""Attention augmented convolution."""

from __future__ import annotations

import math

from tests.mechanisms.case import Case, normal, uniform


def letters(c, h, w, conv, options):
    o, g, heads = conv[0], conv[3], options.get("num_heads", 8)
    p = max(options.get("min_head_dim", 20), int(options.get("keys", 0.2) * o) // heads)
    v = heads * max(1, int(options.get("values", 0.1) * o) // heads)
    # o - v outputs are convolved.
    return {
        "q": heads * p,
        "p": p,
        "v": v,
        "H": heads,
        "m": max(p, v // heads),
        "g": math.gcd(g, c, o - v),
    }


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "conv.weight": uniform(9 * 512),
                "qkv": {"weight": uniform(512), "bias": uniform(512)},
                "proj": {"weight": uniform(48), "bias": None},
                "row": normal(20**-0.5),
                "column": normal(20**-0.5),
            },
        )
    ],
    values=[({}, "b 8 n n", -1), ({"num_heads": 2}, "b 2 n n", -1)],
    options=[{"num_heads": 2, "keys": 0.25, "values": 0.75, "min_head_dim": 1}],
    refusals={
        (words, "torch.export of any size"): "aa_conv: built for maps of 9×11, found 14×10; build it for that"
        for words in ("", "num_heads=2 keys=0.25 values=0.75 min_head_dim=1")
    },
    numbers={"num_heads": [2], "keys": [0.5], "values": [0.5], "min_head_dim": [1]},
    costs=[
        ({"num_heads": 2, "keys": 0.25, "values": 0.75, "min_head_dim": 1}, []),
        ({"bias": True}, ["with bias"]),
    ],
    letters=letters,
)
