"""Bi-level routing attention."""

from __future__ import annotations

import math

from tests.mechanisms.case import ZERO, Case, normal, uniform


def letters(c, h, w, conv, options):
    side = options.get("n_win", 7)
    return {
        "r": side**2,
        "m": math.ceil(h / side) * math.ceil(w / side),
        "k": options.get("topk", 4),
        "l": options.get("side_dwconv", 3),
        "H": options.get("num_heads", 8),
    }


CASE = Case(
    # Rounding may send a region to others than before.
    noise=0.4,
    starts=[
        (
            {},
            1,
            {
                "qkv.weight": normal(0.02),
                "qkv.bias": ZERO,
                "lepe.weight": uniform(9),
                "lepe.bias": uniform(9),
                "wo.weight": normal(0.02),
                "wo.bias": ZERO,
            },
        )
    ],
    values=[({}, "b 8 n n", -1), ({"n_win": 2, "topk": 1}, "b 8 n n", -1)],
    options=[{"n_win": 3, "topk": 2}],
    refusals={
        (words, "torch.export of any size"): "bra: built for maps of 9×11, found 14×10; build it for that size"
        for words in ("", "n_win=3 topk=2")
    },
    numbers={"n_win": [3], "topk": [2], "num_heads": [4], "side_dwconv": [5]},
    costs=[({"n_win": 3, "topk": 2, "num_heads": 4, "side_dwconv": 5}, [])],
    letters=letters,
)
