"""AFF."""

from __future__ import annotations

from tests.mechanisms.case import BATCH_OF_TWO, NORM, C, Case, D, reduced, uniform

BOTTLENECK = {
    "conv1": {"weight": uniform(C), "bias": uniform(C)},
    "bn1": NORM,
    "conv2": {"weight": uniform(D), "bias": uniform(D)},
    "bn2": NORM,
}


def context(*names):
    return {f"{name}.{layer}": law for name in names for layer, law in BOTTLENECK.items()}


CASE = Case(
    starts=[({"reduction": 2}, 1, context("local_att", "global_att.context"))],
    values=[({}, "b c h w", (0, 1))],
    options=[{"norm": "layer"}, {"norm": "none"}],
    refusals={("", "trains on one image"): BATCH_OF_TWO},
    numbers={"reduction": [8]},
    costs=[({"reduction": 8, "norm": "layer"}, []), ({"norm": "none"}, ["at norm none"])],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options, 4)},
)
