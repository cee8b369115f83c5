"""Gaussian context transformer."""

from __future__ import annotations

from tests.mechanisms.case import Case

CASE = Case(
    starts=[({}, 1, {})],
    values=[({}, "b c 1 1", (0, 1.001))],
    options=[{"sigma": 0.5}],
    numbers={"sigma": [0.5]},
    costs=[({"sigma": 0.5}, [])],
)
