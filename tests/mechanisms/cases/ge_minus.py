"""GE without parameters."""

from __future__ import annotations

from tests.mechanisms.case import Case

CASE = Case(
    starts=[({}, 1, {})],
    values=[({}, "b c 1 1", (0, 1)), ({"extent": 2}, "b c h w", (0, 1))],
    options=[{"extent": 2}, {"extent": 5}],
    numbers={"extent": [2, 5]},
    costs=[({"extent": 3}, [])],
)
