"""LSK."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, he

GATE = {
    "conv0": {"weight": he(25), "bias": ZERO},
    "conv_spatial": {"weight": he(49), "bias": ZERO},
    "conv1": {"weight": he(256), "bias": ZERO},
    "conv2": {"weight": he(256), "bias": ZERO},
    "conv_squeeze": {"weight": he(2 * 49), "bias": ZERO},
    "conv": {"weight": he(512), "bias": ZERO},
}
PROJ = {"proj": True}

CASE = Case(
    starts=[
        ({}, 1, GATE),
        (
            PROJ,
            1,
            {
                "proj_1": {"weight": he(512), "bias": ZERO},
                **{f"spatial_gating_unit.{name}": law for name, law in GATE.items()},
                "proj_2": {"weight": he(512), "bias": ZERO},
            },
        ),
    ],
    values=[({}, "b c h w", None)],
    options=[PROJ],
    refusals={("proj=True", "attention values"): "lsk: with proj the gate is that of the projected input"},
    costs=[(PROJ, ["with proj"])],
    letters=lambda c, h, w, conv, options: {"d": c // 2},
)
