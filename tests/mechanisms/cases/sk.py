"""SK."""

from __future__ import annotations

from tests.mechanisms.case import BATCH_OF_TWO, NORM, C, Case, he, normal

CASE = Case(
    starts=[
        (
            {"init": init},
            32,
            {
                **{f"paths.{branch}.conv.weight": he(9 * fan) for branch in (0, 1)},
                **{f"paths.{branch}.bn": NORM for branch in (0, 1)},
                "attn.fc_reduce.weight": normal(0.01) if init == "authors" else he(32),
                "attn.bn": NORM,
                "attn.fc_select.weight": normal(0.01) if init == "authors" else he(2 * C),
            },
        )
        # github.com/implus/SKNet, prototxt; He's as timm.
        for init, fan in (("authors", C // 32), ("he", C))
    ],
    values=[({}, "b 2 c 1 1", 1), ({"branches": 3}, "b 3 c 1 1", 1), ({"branches": 1}, "b 1 c 1 1", (0, 1))],
    options=[{"branches": 1}, {"branches": 3, "norm": "layer"}],
    refusals={(words, "trains on one image"): BATCH_OF_TWO for words in ("", "branches=1")},
    numbers={"branches": [1, 3], "reduction": [4], "floor": [8]},
    costs=[({"branches": 1}, []), ({"branches": 3, "reduction": 2, "floor": 1}, [])],
    letters=lambda c, h, w, conv, options: {
        "m": options.get("branches", 2),
        "d": max(conv[0] // options.get("reduction", 16), options.get("floor", 32)),
    },
)
