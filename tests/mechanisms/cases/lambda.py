"""The lambda layer."""

from __future__ import annotations

from tests.mechanisms.case import NORM, C, Case, Short, normal, uniform

STARTS = {"qkv.weight": normal(C**-0.5), "norm_q": NORM, "norm_v": NORM}


def letters(c, h, w, conv, options):
    heads, d, u = options.get("num_heads", 4), options.get("head_dim", 16), options.get("depth", 1)
    p, r = conv[0] // heads, options.get("context", 23)
    entries, inside = ((2 * h - 1) * (2 * w - 1), h * w) if r == "global" else (r * r, r * r)
    return {"H": heads, "d": d, "u": u, "p": p, "m": heads * d + d * u + p * u, "e": entries, "i": inside}


CASE = Case(
    starts=[
        ({}, 1, {**STARTS, "conv_lambda.weight": normal(16**-0.5), "conv_lambda.bias": Short(uniform(23**2))}),
        ({"context": "global"}, 1, {**STARTS, "pos_emb": normal(0.02)}),
    ],
    values=[
        ({}, "b 4 n n", None),
        ({"context": 3, "depth": 2}, "b 8 n n", None),
        ({"context": "global"}, "b 4 n n", None),
    ],
    options=[{"context": 9}, {"context": "global"}, {"context": 5, "depth": 2}],
    refusals={
        ("context=global", "torch.export of any size"): (
            "lambda: a global context was built for maps of 9×11, found 14×10; build it for that size"
        )
    },
    numbers={"context": [9], "num_heads": [8], "head_dim": [8], "depth": [4]},
    costs=[
        ({"bias": False, "num_heads": 8, "context": 5}, ["without bias"]),
        ({"context": "global", "head_dim": 8}, ["with a global context"]),
        ({"depth": 4, "context": 7}, []),
    ],
    letters=letters,
    noise=0.4,
)
