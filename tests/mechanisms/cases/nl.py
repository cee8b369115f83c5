"""Non-local."""

from __future__ import annotations

from tests.mechanisms.case import ZERO, Case, normal, reduced

CASE = Case(
    # github.com/facebookresearch/video-nonlocal-net.
    starts=[
        (
            {},
            1,
            {
                **{f"{name}.weight": normal(0.01) for name in ("theta", "phi", "g", "proj")},
                **{f"{name}.bias": ZERO for name in ("theta", "phi", "g", "proj")},
                "bn": {"weight": ZERO, "bias": ZERO},
            },
        )
    ],
    values=[({}, "b 1 n n", -1), ({"sub_sample": True}, "b 1 n 6", -1)],
    options=[{"scale": True}, {"sub_sample": True}],
    refusals={
        ("sub_sample=True", "keeps the shape"): "nl: sub_sample pools 2×2, the map is 1×1; set `sub_sample: false`"
    },
    numbers={"reduction": [4]},
    costs=[({"reduction": 4, "scale": True}, []), ({"sub_sample": True}, ["with sub_sample"])],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options, 2), "m": (h // 2) * (w // 2)},
    fused=["forward", "backward"],
)
