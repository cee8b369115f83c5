"""Normalization-based attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, Case

CASE = Case(starts=[({}, 1, {"bn": NORM})], values=[({}, "b c h w", (0, 1))])
