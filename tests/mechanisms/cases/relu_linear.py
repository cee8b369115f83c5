"""ReLU linear attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, C, Case, uniform


def letters(c, h, w, conv, options):
    d, scales = options.get("head_dim", 8), options.get("scales", [5])
    heads = max(1, c // d)
    return {
        "d": d,
        "H": heads,
        "t": heads * d,
        "S": len(scales),
        "m": len(scales) + 1,
        "e": sum(side**2 for side in scales),
    }


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "qkv.weight": uniform(C),
                "aggreg.0.0.weight": uniform(25),
                "aggreg.0.1.weight": uniform(8),
                "proj.conv.weight": uniform(2 * C),
                "proj.bn": NORM,
            },
        )
    ],
    values=[({}, "b 16 n n", None), ({"scales": [3, 5], "head_dim": 16}, "b 12 n n", None)],
    options=[{"scales": [3, 5], "head_dim": 16}],
    numbers={"head_dim": [16], "scales": [[3, 7], [1]], "eps": [1e-3]},
    costs=[({"head_dim": 16, "scales": [3, 7]}, [])],
    letters=letters,
)
