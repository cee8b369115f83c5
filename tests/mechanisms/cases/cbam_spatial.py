"""CBAM's spatial attention."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, he

CASE = Case(
    starts=[({"norm": True, "kernel_size": 31}, 1, {"conv.weight": he(31**2), "bn.weight": ZERO, "bn.bias": ZERO})],
    values=[({}, "b 1 h w", (0, 1))],
    numbers={"kernel_size": [3]},
    costs=[({"bias": False, "kernel_size": 3}, ["without bias"]), ({"norm": True}, ["with norm"])],
    letters=lambda c, h, w, conv, options: {"k": options.get("kernel_size", 7)},
)
