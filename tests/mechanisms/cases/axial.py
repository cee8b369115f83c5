"""Axial attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, Case, normal


def letters(c, h, w, conv, options):
    heads = options.get("num_heads", 8)
    return {"H": heads, "p": conv[0] // heads}


LAWS = {
    "qkv.weight": normal(512**-0.5),
    "bn_qkv": NORM,
    "bn_similarity.weight": ("constant", 1.0),
    "bn_output": NORM,
    "relative": normal(64**-0.5),
}
CASE = Case(
    starts=[({}, 1, {f"{axis}_block.{name}": law for axis in ("height", "width") for name, law in LAWS.items()})],
    values=[({}, "b 8 n n", -1)],
    options=[{"num_heads": 2}],
    refusals={
        (words, "torch.export of any size"): "axial: built for maps of 9×11, found 14×10; build it for that size"
        for words in ("", "num_heads=2")
    },
    numbers={"num_heads": [4]},
    costs=[({"num_heads": 2}, [])],
    letters=letters,
    # Its logits go through a norm, and eight bits of them through a softmax: 0.35.
    noise=0.45,
)
