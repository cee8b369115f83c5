"""Frequency channel attention."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, D, uniform

CASE = Case(
    starts=[({"reduction": 2}, 1, {"fc1.weight": uniform(C), "fc2.weight": uniform(D)})],
    values=[({}, "b c 1 1", (0, 1))],
    options=[{"frequencies": 4, "select": "low"}],
    numbers={"reduction": [4], "frequencies": [1, 32]},
    costs=[({"reduction": 4}, []), ({"frequencies": 2}, [])],
    letters=lambda c, h, w, conv, options: {"d": c // options.get("reduction", 16)},
)
