"""Efficient local attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, Case, uniform


def letters(c, h, w, conv, options):
    size = options.get("size", "base")
    k = 5 if size in ("tiny", "small") else 7
    return {"k": k, "m": 8 if size in ("small", "large") else 1, "p": k // 2}


CASE = Case(
    starts=[
        ({}, 1, {"conv.weight": uniform(7), "gn": NORM}),
        ({"size": "small"}, 1, {"conv.weight": uniform(40), "gn": NORM}),
    ],
    values=[({}, "b c h w", (0, 1)), ({"size": "large"}, "b c h w", (0, 1))],
    options=[{"size": "tiny"}, {"size": "large"}],
    numbers={"norm_groups": [1]},
    costs=[({"size": size}, []) for size in ("tiny", "small", "large")],
    letters=letters,
)
