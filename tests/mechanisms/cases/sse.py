"""The spatial half of scSE."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, uniform

CASE = Case(
    # A single number shows no law: the bias.
    starts=[({}, 1, {"conv.weight": uniform(C), "conv.bias": None})],
    values=[({}, "b 1 h w", (0, 1))],
)
