"""YOLOv12's area attention."""

from __future__ import annotations

from tests.mechanisms.case import NORM, Case, normal


def letters(c, h, w, conv, options):
    a = options.get("areas", 4)
    m = -(-h * w // a)
    return {"n": a * m, "m": m, "H": options.get("num_heads", c // 32)}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                f"{layer}.{part}": law
                for layer in ("qk", "v", "proj", "pe")
                for part, law in (("conv", {"weight": normal(0.02)}), ("bn", NORM))
            },
        )
    ],
    values=[({}, "b 2 n n", -1), ({"areas": 5, "num_heads": 8}, "b 8 n n", -1)],
    options=[{"areas": 7}, {"areas": 1, "num_heads": 4}],
    refusals={
        (words, "torch.export of any size"): "area: built for maps of 9×11, found 14×10; build it for that size"
        for words in ("", "areas=7")
    },
    numbers={"areas": [1, 7], "num_heads": [4]},
    costs=[({"areas": 7, "num_heads": 8}, []), ({"areas": 1}, [])],
    letters=letters,
)
