"""SimAM."""

from __future__ import annotations

from tests.mechanisms.case import Case

CASE = Case(
    starts=[({}, 1, {})],
    values=[({}, "b c h w", (0.62, 1))],
    options=[{"e_lambda": 0.1}],
    numbers={"e_lambda": [0.1]},
    costs=[({"e_lambda": 0.1}, [])],
)
