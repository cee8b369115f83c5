"""CAM of DANet."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case

CASE = Case(starts=[({}, 1, {"gamma": ZERO})], values=[({}, "b c c", -1)])
