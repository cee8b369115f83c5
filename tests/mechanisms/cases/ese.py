"""Effective SE."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, he, uniform

CASE = Case(
    starts=[({}, 1, {"fc.weight": he(C), "fc.bias": uniform(C)})],
    values=[({}, "b c 1 1", (0, 1))],
    options=[{"gate": "hard_sigmoid"}],
    costs=[({"bias": False}, ["without bias"])],
)
