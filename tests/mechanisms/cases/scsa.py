"""Spatial and channel synergistic attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, Case, Short, he, uniform


def letters(c, h, w, conv, options):
    side = options.get("window", 7)
    return {"p": c // options.get("num_heads", 8), "m": h // min(side, h), "n": w // min(side, w)}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                **{f"convs.{i}.weight": Short(uniform(k)) for i, k in enumerate((3, 5, 7, 9))},
                **{f"convs.{i}.bias": Short(uniform(k)) for i, k in enumerate((3, 5, 7, 9))},
                **dict.fromkeys(("norm_h", "norm_w", "norm"), NORM),
                # github.com/HZAI-ZJNU/SCSA: mmengine draws every Conv2d of resnet_scsa.py, by its outputs.
                **{f"{name}.weight": he(512) for name in "qkv"},
            },
        )
    ],
    values=[({}, "b c h w", (0, 1))],
    options=[{"num_heads": 4, "window": 2}],
    numbers={"num_heads": [4], "window": [2]},
    costs=[({"num_heads": 4, "window": 2}, [])],
    letters=letters,
)
