"""Shuffle attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ONE, ZERO, Case

CASE = Case(
    starts=[({"groups": 2}, 1, {"cweight": ZERO, "cbias": ONE, "sweight": ZERO, "sbias": ONE, "gn": NORM})],
    values=[({}, "b c h w", (0, 1))],
    options=[{"groups": 8}],
    numbers={"groups": [4]},
    costs=[({"groups": 4}, [])],
    letters=lambda c, h, w, conv, options: {"g": options.get("groups", c // 2)},
)
