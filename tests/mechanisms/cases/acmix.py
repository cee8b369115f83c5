"""ACmix."""

from __future__ import annotations

from tests.mechanisms.case import Case, Short, uniform

HALF = ("constant", 0.5)
LINE = uniform(512)


def letters(c, h, w, conv, options):
    heads = options.get("num_heads", 4)
    side = options.get("kernel_conv", 3)
    return {"H": heads, "p": conv[0] // heads, "l": side}


CASE = Case(
    starts=[
        (
            {"num_heads": 2},
            1,
            {
                **{f"conv{number}": {"weight": LINE, "bias": LINE} for number in (1, 2, 3)},
                "position": uniform(2),
                "fc.weight": Short(uniform(6)),
                # Shifts: tests/mechanisms/kernel/test_acmix.py.
                "dep_conv.weight": None,
                "rate1": HALF,
                "rate2": HALF,
            },
        )
    ],
    values=[({}, "b 4 h w 49", -1), ({"window": 3}, "b 4 h w 9", -1)],
    options=[{"window": 3, "kernel_conv": 5, "num_heads": 2}],
    refusals={
        ("", "keeps the shape"): "acmix: window=7 is mirrored at the edges of the map 1×1; set window to 1",
        ("window=3 kernel_conv=5 num_heads=2", "keeps the shape"): "acmix: window=3 is mirrored at the edges",
    },
    numbers={"window": [3], "kernel_conv": [1, 5], "num_heads": [2]},
    costs=[({"window": 3, "kernel_conv": 5, "num_heads": 2}, [])],
    letters=letters,
    small={"window": 3},
)
