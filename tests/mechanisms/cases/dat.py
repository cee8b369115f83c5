"""Deformable attention."""

from __future__ import annotations

import math

from tests.mechanisms.case import NORM, Case, normal, uniform


def letters(c, h, w, conv, options):
    heads = options.get("num_heads", c // 32)
    groups = options.get("num_groups", heads // 4 if heads % 4 == 0 else 1)
    stride = options.get("stride", 1)
    m = math.ceil(h / stride) * math.ceil(w / stride)
    return {"H": heads, "g": groups, "k": options.get("kernel_size", 5), "m": m}


PROJECTIONS = {f"proj_{name}": {"weight": uniform(512), "bias": uniform(512)} for name in ("q", "k", "v", "out")}

CASE = Case(
    starts=[
        (
            {"num_groups": 2},
            1,
            {
                **PROJECTIONS,
                "rpe_table": normal(0.01),
                "conv_offset.conv": {"weight": uniform(25), "bias": uniform(25)},
                "conv_offset.norm": NORM,
                "conv_offset.proj.weight": uniform(256),
            },
        )
    ],
    values=[({}, "b 2 n n", -1), ({"stride": 3, "num_heads": 8, "use_pe": False}, "b 8 n 6", -1)],
    options=[{"stride": 2, "num_heads": 8, "kernel_size": 3}, {"use_pe": False}],
    refusals={
        (words, "torch.export of any size"): "dat: built for maps of 9×11, found 14×10; build it for that size"
        for words in ("", "stride=2 num_heads=8 kernel_size=3")
    },
    numbers={"num_heads": [4], "num_groups": [2], "stride": [2], "kernel_size": [3], "offset_range": [1.0]},
    costs=[
        ({"num_heads": 8, "num_groups": 4, "stride": 2, "kernel_size": 3}, []),
        ({"use_pe": False}, ["without use_pe"]),
    ],
    letters=letters,
)
