"""Cascaded group attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, C, Case, uniform


def letters(c, h, w, conv, options):
    heads = options.get("num_heads", 4)
    return {"H": heads, "d": options.get("head_dim", 16), "p": c // heads, "k": options.get("kernels", 5)}


CASE = Case(
    starts=[
        (
            {"head_dim": 64},
            1,
            {
                **{f"qkvs.{head}.conv.weight": uniform(C // 4) for head in range(4)},
                **{f"qkvs.{head}.bn": NORM for head in range(4)},
                **{f"dws.{head}.conv.weight": uniform(25) for head in range(4)},
                **{f"dws.{head}.bn": NORM for head in range(4)},
                "proj.1.conv.weight": uniform(C),
                "proj.1.bn": NORM,
                "attention_biases": ZERO,
            },
        )
    ],
    values=[({}, "b 4 n n", -1)],
    options=[{"num_heads": 2, "head_dim": 8, "kernels": [3, 5]}],
    refusals={
        (words, "torch.export of any size"): "cga: built for maps of 9×11, found 14×10; build it for that size"
        for words in ("", "num_heads=2 head_dim=8 kernels=[3, 5]")
    },
    numbers={"num_heads": [2], "head_dim": [8], "kernels": [3, [7, 5, 3, 3]]},
    costs=[({"num_heads": 2, "head_dim": 8, "kernels": 3}, [])],
    letters=letters,
)
