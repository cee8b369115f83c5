"""Focal modulation."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, C, Case, normal, uniform

NAMES = ["f", "h", "proj", "focal_layers.0.0", "focal_layers.1.0"]


def letters(c, h, w, conv, options):
    levels, first = options.get("focal_level", 2), options.get("focal_window", 3)
    step = options.get("focal_factor", 2)
    return {"m": levels + 1, "e": sum((first + step * level) ** 2 for level in range(levels))}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "f.weight": normal(0.02),
                "f.bias": ZERO,
                "h.weight": uniform(C),
                "h.bias": uniform(C),
                "proj.weight": normal(0.02),
                "proj.bias": ZERO,
                "focal_layers.0.0.weight": uniform(9),
                "focal_layers.1.0.weight": uniform(25),
            },
        ),
        (
            {"std": 0.1},
            1,
            {
                **{f"{name}.weight": normal(0.1) for name in NAMES},
                **{f"{name}.bias": ZERO for name in NAMES[:3]},
            },
        ),
    ],
    values=[({}, "b 3 1 1 1", None), ({"focal_level": 1}, "b 2 1 1 1", None)],
    options=[{"focal_level": 3, "focal_window": 5, "normalize_modulator": True}],
    numbers={"focal_level": [1, 4], "focal_window": [5], "focal_factor": [0, 4], "std": [0.1]},
    costs=[({"focal_level": 3, "focal_window": 5, "focal_factor": 4}, [])],
    letters=letters,
)
