"""Polarized self-attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, C, Case, D, Short, he, uniform

FOUR = {f"conv_{name}.weight": he(C) for name in ("q_right", "v_right", "q_left", "v_left")}
SEQUENTIAL = {
    "conv_up.0.weight": uniform(D),
    "conv_up.0.bias": Short(uniform(D)),
    "conv_up.1": NORM,
    "conv_up.3.weight": uniform(D // 4),
    "conv_up.3.bias": uniform(D // 4),
}

CASE = Case(
    starts=[
        ({}, 1, {**FOUR, "conv_up.weight": uniform(D)}),
        ({"form": "sequential"}, 1, {**FOUR, **SEQUENTIAL}),
    ],
    values=[({}, "b c h w", (0.5, 1.74)), ({"form": "sequential"}, "b c h w", (0, 1))],
    options=[{"form": "sequential"}],
    costs=[({"form": "sequential"}, ["with form sequential"])],
    letters=lambda c, h, w, conv, options: {"d": c // 2, "m": c // 8},
)
