"""External attention."""

from __future__ import annotations

from tests.mechanisms.case import Case, he

CASE = Case(
    starts=[({}, 1, {"mk.weight": he(512), "mv.weight": he(512)})],
    values=[({"memory": 10}, "b 1 n 10", -1)],
    options=[{"memory": 3}],
    numbers={"memory": [3]},
    costs=[({"memory": 5}, [])],
    letters=lambda c, h, w, conv, options: {"m": options.get("memory", 64)},
)
