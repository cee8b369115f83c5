"""LSKA."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, he

SIZES = {7: (3, 3), 11: (3, 5), 23: (5, 7), 35: (5, 11), 41: (5, 13), 53: (5, 17)}
GATE = {
    **{f"conv0{way}": {"weight": he(5), "bias": ZERO} for way in "hv"},
    **{f"conv_spatial_{way}": {"weight": he(7), "bias": ZERO} for way in "hv"},
    "conv1": {"weight": he(512), "bias": ZERO},
}
PROJ = {"proj": True}


def letters(c, h, w, conv, options):
    return dict(zip("ij", SIZES[options.get("kernel_size", 23)], strict=True))


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
    options=[{"kernel_size": 7}, PROJ],
    refusals={("proj=True", "attention values"): "lska: with proj the gate is that of the projected input"},
    numbers={"kernel_size": [7, 53]},
    costs=[*(({"kernel_size": size}, []) for size in SIZES), (PROJ, ["with proj"])],
    letters=letters,
)
