"""BoT's self-attention."""

from __future__ import annotations

from tests.mechanisms.case import Case, normal


def letters(c, h, w, conv, options):
    heads = options.get("num_heads", 4)
    return {"H": heads, "p": conv[0] // heads}


CASE = Case(
    starts=[({}, 1, {"qkv.weight": normal(0.01), "row": normal(128**-0.5), "column": normal(128**-0.5)})],
    values=[({}, "b 4 n n", -1)],
    refusals={("", "torch.export of any size"): "bot: built for maps of 9×11, found 14×10; build it for that"},
    numbers={"num_heads": [8]},
    costs=[({"num_heads": 8}, [])],
    letters=letters,
    noise=0.3,
    # Its positions grow from queries, which only runs fused.
    fused=["forward"],
)
