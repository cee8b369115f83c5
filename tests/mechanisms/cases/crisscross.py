"""Criss-cross attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, uniform

CONV = {"weight": uniform(512), "bias": uniform(512)}

CASE = Case(
    starts=[({"reduction": 2}, 1, {"query_conv": CONV, "key_conv": CONV, "value_conv": CONV, "gamma": ZERO})],
    # 5 of the column and 7 of the row.
    values=[({}, "b 1 h w 12", -1), ({"recurrence": 2}, "b 1 h w 12", -1)],
    options=[{"reduction": 5}],
    numbers={"reduction": [1, 999], "recurrence": [2]},
    costs=[({"reduction": 5}, []), ({"recurrence": 2}, [])],
    letters=lambda c, h, w, conv, options: {
        "d": max(1, c // options.get("reduction", 8)),
        "R": options.get("recurrence", 1),
    },
)
