"""GAU."""

from __future__ import annotations

from tests.mechanisms.case import BATCH_OF_TWO, NORM, C, Case, uniform

CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "pooled": {"weight": uniform(C), "bias": uniform(C)},
                "pooled_bn": NORM,
                "conv": {"weight": uniform(9 * C), "bias": uniform(9 * C)},
                "bn": NORM,
            },
        )
    ],
    values=[({}, "b c 1 1", (0, 1))],
    options=[{"norm": "layer"}, {"norm": "none"}],
    refusals={("", "trains on one image"): BATCH_OF_TWO},
    costs=[({"norm": "layer"}, []), ({"norm": "none"}, ["at norm none"])],
    # The coarse map is as large as the fine one.
    letters=lambda c, h, w, conv, options: {"e": c, "i": h, "j": w},
)
