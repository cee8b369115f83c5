"""Stand-alone self-attention."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, he, normal

CASE = Case(
    starts=[({}, 1, {"qkv.weight": he(3 * C), "row": normal(1.0), "column": normal(1.0)})],
    values=[({"window": 5}, "b 8 h w 25", -1)],
    options=[{"window": 5, "num_heads": 4}],
    refusals={
        ("", "keeps the shape"): "sasa: window=7 is larger than the map",
        ("window=5 num_heads=4", "keeps the shape"): "sasa: window=5 is larger than the map",
    },
    numbers={"window": [5], "num_heads": [4]},
    costs=[({"window": 3, "num_heads": 4}, [])],
    letters=lambda c, h, w, conv, options: {"k": options.get("window", 7)},
    small={"window": 3},
    noise=0.4,
)
