"""Style-based recalibration."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ONE_IMAGE, ZERO, Case

CASE = Case(
    starts=[({}, 1, {"cfc": ZERO, "bn": NORM})],
    values=[({}, "b c 1 1", (0, 1))],
    options=[{"norm": "layer"}, {"norm": "none"}],
    refusals=ONE_IMAGE,
    costs=[({"norm": "none"}, ["without norm"]), ({"norm": "layer"}, [])],
)
