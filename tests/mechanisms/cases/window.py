"""Window attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, normal


def letters(c, h, w, conv, options):
    k = options.get("window", 7)
    i, j = min(k, h), min(k, w)
    return {"H": options.get("num_heads", c // 32), "i": i, "j": j, "h'": -(-h // i) * i, "w'": -(-w // j) * j}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "relative_position_bias_table": normal(0.02),
                "qkv.weight": normal(0.02),
                "qkv.bias": ZERO,
                "proj.weight": normal(0.02),
                "proj.bias": ZERO,
            },
        )
    ],
    values=[({}, "b 2 h w 35", -1), ({"window": 4, "num_heads": 8, "shift": 1}, "b 8 h w 16", -1)],
    options=[{"window": 4, "shift": 2}, {"window": 3, "num_heads": 4}],
    refusals={
        (words, "torch.export of any size"): "window: built for maps of 9×11, found 14×10; build it for that size"
        for words in ("", "window=4 shift=2", "window=3 num_heads=4")
    },
    numbers={"window": [4], "num_heads": [8], "shift": [3]},
    costs=[({"window": 4, "num_heads": 8, "shift": 2}, [])],
    letters=letters,
    small={"window": 3},
)
