"""Spatial group-wise enhance."""

from __future__ import annotations

from tests.mechanisms.case import ONE, ZERO, Case

CASE = Case(
    starts=[({}, 1, {"weight": ZERO, "bias": ONE})],
    # Every gate starts at sigmoid(1).
    values=[({}, "b c h w", (0, 1))],
    options=[{"groups": 8}],
    numbers={"groups": [4]},
    costs=[({"groups": 4}, [])],
    letters=lambda c, h, w, conv, options: {"g": options.get("groups", c)},
)
