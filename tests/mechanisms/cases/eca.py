"""ECA."""

from __future__ import annotations

from tests.mechanisms.case import Case, uniform

CASE = Case(
    starts=[({"kernel_size": 255}, 1, {"conv.weight": uniform(255)})],
    values=[({}, "b c 1 1", (0, 1))],
    options=[{"kernel_size": 9}],
    numbers={"kernel_size": [9], "gamma": [1.0], "beta": [3.0]},
    costs=[({"kernel_size": 9}, [])],
    letters=lambda c, h, w, conv, options: {"k": options.get("kernel_size", {64: 3, 32: 3}[c])},
)
