"""Gather-excite with a bottleneck."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ONE_IMAGE, ZERO, Case, he, normal, reduced
from tests.mechanisms.cases.ge import ONE_SIZE, halved

CASE = Case(
    starts=[
        (
            {"reduction": 2},
            1,
            {
                "gather.conv1.weight": he(49),
                "gather.bn1": NORM,
                "fc1.weight": normal(0.01),
                "fc2.weight": normal(0.01),
                "fc1.bias": ZERO,
                "fc2.bias": ZERO,
            },
        )
    ],
    values=[({}, "b c 1 1", (0, 1)), ({"extent": 2}, "b c h w", (0, 1))],
    options=[{"extent": 2, "norm": "layer"}],
    refusals={
        **ONE_IMAGE,
        (
            "",
            "torch.export of any size",
        ): f"ge_plus: {ONE_SIZE}",
    },
    numbers={"extent": [2], "reduction": [4]},
    costs=[
        *[({"extent": extent}, ["with an extent of 2^i"]) for extent in (2, 4, 8, 16)],
        ({"bias": False, "reduction": 8}, ["without bias"]),
        ({"extent": 4, "bias": False}, ["with an extent of 2^i", "without bias"]),
    ],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options), **halved(h, w, options.get("extent", 0))},
)
