"""FPA."""

from __future__ import annotations

from tests.mechanisms.case import BATCH_OF_TWO, NORM, C, Case, Short, uniform

# The pyramid has one channel, and its kernels few numbers.
INPUTS = {"down2": 25, "down3": 9, "level3": 9, "level2": 25, "level1": 49}


SMALL = "fpa: a map of 1×1 cannot be halved three times; put it where the map has 8 rows and columns or more"


def letters(c, h, w, conv, options):
    coarser = {name: (h // side) * (w // side) for name, side in (("p", 2), ("q", 4), ("r", 8))}
    return {"o": options.get("out_channels", c), **coarser}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "pooled": {"weight": uniform(C), "bias": uniform(C)},
                "pooled_bn": NORM,
                "mid.conv": {"weight": uniform(C), "bias": uniform(C)},
                "mid.bn": NORM,
                "down1.conv": {"weight": uniform(49 * C), "bias": None},
                "down1.bn": NORM,
                **{f"{name}.conv": {"weight": Short(uniform(count)), "bias": None} for name, count in INPUTS.items()},
                **{f"{name}.bn": NORM for name in INPUTS},
            },
        )
    ],
    values=[({}, "b 1 h w", None)],
    options=[{"norm": "layer"}, {"norm": "none"}],
    refusals={
        **{(words, "keeps the shape"): SMALL for words in ("", "norm=layer", "norm=none")},
        ("", "trains on one image"): BATCH_OF_TWO,
    },
    numbers={"out_channels": [24]},
    costs=[({"norm": "layer"}, []), ({"norm": "none"}, ["at norm none"]), ({"out_channels": 24}, [])],
    letters=letters,
    least=8,
)
