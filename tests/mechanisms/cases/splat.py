"""Split attention."""

from __future__ import annotations

from tests.mechanisms.case import BATCH_OF_TWO, NORM, C, Case, D, he, uniform


def letters(c, h, w, conv, options):
    radix = options.get("radix", 2)
    found = {
        "R": radix,
        "K": options.get("cardinality", conv[3]),
        "d": max(c * radix // options.get("reduction", 4), options.get("floor", 32)),
    }
    # The pooling has the stride, so the convolution sees the whole map.
    return found | ({"h'": h, "w'": w} if options.get("avd") == "after" else {})


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "conv.weight": he(9 * 2 * C),
                "bn0": NORM,
                "fc1.weight": he(D),
                "fc1.bias": uniform(C),
                "bn1": NORM,
                "fc2.weight": he(2 * C),
                "fc2.bias": uniform(D),
            },
        )
    ],
    values=[
        ({}, "b 2 c 1 1", 1),
        ({"radix": 4, "cardinality": 2}, "b 4 c 1 1", 1),
        ({"radix": 1}, "b 1 c 1 1", (0, 1)),
    ],
    options=[{"radix": 0}, {"radix": 1}, {"radix": 4, "norm": "layer"}, {"avd": "after"}, {"avd": "before"}],
    refusals={
        **{(words, "trains on one image"): BATCH_OF_TWO for words in ("", "radix=1", "avd=after", "avd=before")},
        ("radix=0", "attention values"): "splat: radix 0 is a plain convolution",
    },
    numbers={"radix": [0, 1, 4], "cardinality": [2], "reduction": [8], "floor": [64]},
    costs=[
        ({"radix": 0}, ["at R = 0"]),
        ({"radix": 1, "cardinality": 1}, []),
        ({"radix": 4, "cardinality": 1, "reduction": 2, "floor": 4}, []),
        ({"cardinality": 4}, []),
        *[({"avd": avd, "cardinality": 1}, []) for avd in ("before", "after")],
    ],
    letters=letters,
)
