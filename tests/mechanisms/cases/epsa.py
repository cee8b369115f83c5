"""EPSA."""

from __future__ import annotations

import math

from tests.mechanisms.case import Case, he, uniform


def letters(c, h, w, conv, options):
    s = conv[0] // 4
    kernels, groups = options.get("kernel_sizes", [3, 5, 7, 9]), options.get("groups", [1, 4, 8, 16])
    return {
        "s": s,
        "d": max(1, s // options.get("reduction", 16)),
        "S": sum(k * k * c // math.gcd(g, c, s) for k, g in zip(kernels, groups, strict=True)),
    }


CASE = Case(
    starts=[
        (
            {"reduction": 1},
            1,
            {
                **{f"convs.{index}.weight": he(k * k * 128) for index, k in enumerate((3, 5, 7, 9))},
                "fc1": {"weight": he(128), "bias": uniform(128)},
                "fc2": {"weight": he(128), "bias": uniform(128)},
            },
        )
    ],
    values=[({}, "b 4 16 1 1", 1)],
    options=[{"kernel_sizes": [1, 1, 3, 3], "groups": [1, 1, 1, 2], "reduction": 4}],
    numbers={"kernel_sizes": [[3, 3, 3, 3]], "groups": [[1, 1, 1, 1]], "reduction": [4]},
    costs=[({"kernel_sizes": [1, 1, 3, 3], "groups": [1, 1, 1, 2], "reduction": 4}, [])],
    letters=letters,
)
