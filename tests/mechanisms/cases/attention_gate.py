"""The attention gate."""

from __future__ import annotations

from tests.mechanisms.case import NORM, Case, he, uniform

MONAI = {"form": "monai"}


def letters(c, h, w, conv, options):
    step = options.get("sub_sample", 2)
    d = options.get("inner", c // 2)
    # The gating tensor is as large as the map.
    return {"d": d, "e": c, "i": h, "j": w, "s": step, "h'": h // step, "w'": w // step}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "theta.weight": he(4 * 512),
                "phi.weight": he(512),
                "phi.bias": uniform(512),
                "psi.weight": he(256),
                "psi.bias": None,
                "proj.weight": he(512),
                "proj.bias": uniform(512),
                # Around 1: in tests/mechanisms/fusion/test_attention_gate.py.
                "proj_bn.weight": None,
                "proj_bn.bias": ("constant", 0.0),
            },
        ),
        (
            MONAI,
            1,
            {
                "theta": {"weight": uniform(512), "bias": uniform(512)},
                "theta_bn": NORM,
                "phi": {"weight": uniform(512), "bias": uniform(512)},
                "phi_bn": NORM,
                "psi": {"weight": uniform(256), "bias": None},
                "psi_bn": NORM,
            },
        ),
    ],
    values=[({}, "b 1 h w", (0, 1)), (MONAI, "b 1 h w", (0, 1))],
    options=[MONAI, {"inner": 5, "sub_sample": 1}],
    refusals={("", "keeps the shape"): "attention_gate: theta has a kernel of 2×2, the map is 1×1"},
    numbers={"inner": [5], "sub_sample": [1, 3]},
    costs=[(MONAI, ["at form monai"]), ({"inner": 5, "sub_sample": 3}, [])],
    letters=letters,
)
