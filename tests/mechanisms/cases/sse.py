"""The spatial half of scSE."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, Short, uniform

CASE = Case(
    starts=[({}, 1, {"conv.weight": uniform(C), "conv.bias": Short(uniform(C))})],
    values=[({}, "b 1 h w", (0, 1))],
)
