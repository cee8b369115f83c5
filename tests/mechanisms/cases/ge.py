"""Gather-excite with depthwise convolutions."""

from __future__ import annotations

import math

from tests.mechanisms.case import NORM, ONE_IMAGE, Case, he

ONE_SIZE = "extent=0 was built for maps of 9×11, found 14×10; build it for that"


def halved(h, w, extent):
    """Steps i of halving, positions s of the last map and S of all of them together."""
    sizes = [math.ceil(h / 2**step) * math.ceil(w / 2**step) for step in range(1, extent.bit_length())]
    return {"i": len(sizes), "S": sum(sizes), "s": sizes[-1] if sizes else 1}


CASE = Case(
    # github.com/hujie-frank/GENet, prototxt.
    starts=[
        ({}, 1, {"gather.conv1.weight": he(49), "gather.bn1": NORM}),
        (
            {"extent": 4},
            1,
            {
                f"gather.{name}{step}": law
                for step in (1, 2)
                for name, law in (("conv", {"weight": he(9)}), ("bn", NORM))
            },
        ),
    ],
    values=[({}, "b c 1 1", (0, 1)), ({"extent": 2}, "b c h w", (0, 1))],
    options=[{"extent": 4}, {"norm": "none"}],
    refusals={**ONE_IMAGE, **{(words, "torch.export of any size"): f"ge: {ONE_SIZE}" for words in ("", "norm=none")}},
    numbers={"extent": [2, 4]},
    costs=[({"extent": extent}, ["with an extent of 2^i"]) for extent in (2, 4, 8, 16)],
    letters=lambda c, h, w, conv, options: halved(h, w, options.get("extent", 0)),
)
