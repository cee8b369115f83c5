"""SE."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, C, Case, D, he, reduced

CASE = Case(
    starts=[({"reduction": 2}, 1, {"fc1.weight": he(D), "fc1.bias": ZERO, "fc2.weight": he(C), "fc2.bias": ZERO})],
    values=[({}, "b c 1 1", (0, 1))],
    options=[{"act": "silu", "gate": "hard_sigmoid", "bias": False}, {"reduction": 999}],
    numbers={"reduction": [999], "hidden": [5], "round_to": [8]},
    costs=[({"bias": False}, ["without bias"]), ({"reduction": 4}, []), ({"reduction": 999}, []), ({"hidden": 5}, [])],
    letters=lambda c, h, w, conv, options: {"d": options.get("hidden", reduced(c, options))},
)
