"""HaloNet's attention."""

from __future__ import annotations

import math

from tests.mechanisms.case import C, Case, normal

BUILT = "halo: built for maps of 9×11, found 14×10; build it for that size"


def letters(c, h, w, conv, options):
    o, _, stride, _ = conv
    block, heads = options.get("block_size", 8), options.get("num_heads", 8)
    rows, columns = (stride, stride) if isinstance(stride, int) else stride
    blocks = math.ceil(h / block) * math.ceil(w / block)
    return {
        "k": block + 2 * options.get("halo_size", 3),
        "m": blocks * (block // rows) * (block // columns),
        "p": o // heads,
        "H": heads,
    }


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "q.weight": normal(C**-0.5),
                "kv.weight": normal(C**-0.5),
                "height_rel": normal((C / 8) ** -0.5),
                "width_rel": normal((C / 8) ** -0.5),
            },
        )
    ],
    values=[({}, "b 8 h w 196", -1), ({"block_size": 4, "halo_size": 1, "num_heads": 4}, "b 4 h w 36", -1)],
    options=[{"block_size": 4, "halo_size": 1}, {"scale": "none"}, {"scale": "both"}],
    refusals={
        (words, "torch.export of any size"): BUILT
        for words in ("", "block_size=4 halo_size=1", "scale=none", "scale=both")
    },
    numbers={"block_size": [4], "halo_size": [0], "num_heads": [4]},
    costs=[({"block_size": 4, "halo_size": 2, "num_heads": 4, "scale": "both"}, [])],
    letters=letters,
    small={"block_size": 4, "halo_size": 1},
    noise=0.4,
)
