"""Context anchor attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ZERO, C, Case, he

# github.com/NUST-Machine-Intelligence-Laboratory/PKINet, `init_weights` of pkinet.py.
CONVS = {
    "conv1.weight": he(C),
    "conv_h": {"weight": he(11), "bias": ZERO},
    "conv_v": {"weight": he(11), "bias": ZERO},
    "conv2.weight": he(C),
}

CASE = Case(
    starts=[
        ({}, 1, {**CONVS, "bn1": NORM, "bn2": NORM}),
        ({"norm": False}, 1, {**CONVS, "conv1.bias": ZERO, "conv2.bias": ZERO}),
    ],
    values=[({}, "b c h w", (0.43, 1)), ({"norm": False}, "b c h w", (0, 1))],
    options=[{"norm": False, "kernel_size": 5}],
    numbers={"kernel_size": [5]},
    costs=[({"kernel_size": 5}, []), ({"norm": False}, ["without norm"])],
    letters=lambda c, h, w, conv, options: {"k": options.get("kernel_size", 11)},
)
