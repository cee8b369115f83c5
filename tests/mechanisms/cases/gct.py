"""Gated channel transformation."""

from __future__ import annotations

from tests.mechanisms.case import ONE, ZERO, Case

CASE = Case(
    starts=[({}, 1, {"alpha": ONE, "gamma": ZERO, "beta": ZERO})],
    # Every factor starts at 1.
    values=[({}, "b c 1 1", (0, 2)), ({"norm": "l1"}, "b c 1 1", (0, 2))],
    options=[{"norm": "l1"}],
    costs=[({"norm": "l1"}, [])],
)
