"""MSCA."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, he

STRIPS = {"conv0": 7, "conv1": 11, "conv2": 21}
GATE = {
    "conv0": {"weight": he(25), "bias": ZERO},
    **{f"{name}_{way}": {"weight": he(k), "bias": ZERO} for name, k in STRIPS.items() for way in (1, 2)},
    "conv3": {"weight": he(512), "bias": ZERO},
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
    refusals={("proj=True", "attention values"): "msca: with proj the gate is that of the projected input"},
    costs=[(PROJ, ["with proj"])],
)
