"""Mixed local channel attention."""

from __future__ import annotations

from tests.mechanisms.case import Case, uniform

CASE = Case(
    starts=[({"kernel_size": 255}, 1, {"conv.weight": uniform(255), "conv_local.weight": uniform(255)})],
    values=[({}, "b c h w", (0, 1))],
    options=[{"local_size": 3, "kernel_size": 9}],
    numbers={"local_size": [3], "local_weight": [0.2], "kernel_size": [9]},
    costs=[({"kernel_size": 9, "local_size": 3}, [])],
    letters=lambda c, h, w, conv, options: {
        "k": options.get("kernel_size", {64: 3, 32: 3}[c]),
        "s": options.get("local_size", 5),
    },
)
