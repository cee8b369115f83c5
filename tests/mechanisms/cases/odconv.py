"""ODConv."""

from __future__ import annotations

from tests.mechanisms.case import BATCH_OF_TWO, NORM, ZERO, Case, he


def laws(groups):
    gates = {"channel_fc": 512, "spatial_fc": 9, "kernel_fc": 4, **({} if groups == 512 else {"filter_fc": 512})}
    return {
        "weight": he(9 * 512),
        "fc.weight": he(32),
        "bn": NORM,
        **{name: {"weight": he(count), "bias": ZERO} for name, count in gates.items()},
    }


def letters(c, h, w, conv, options):
    o, kernel, _, g = conv
    k = kernel if isinstance(kernel, int) else kernel[0]
    n, reduction = options.get("num_experts", 4), options.get("reduction", 16)
    return {
        "n": n,
        "d": max(c // reduction, options.get("floor", 16)),
        "s": 0 if k == 1 else k * k,
        "f": 0 if c == g == o else o,
        "m": 0 if n == 1 else n,
    }


SINGLE = "odconv: a single expert has no weight; `gates` has the other three"
CASE = Case(
    starts=[({}, groups, laws(groups)) for groups in (1, 32, 512)],
    values=[({}, "b 4", 1), ({"num_experts": 3}, "b 3", 1)],
    options=[{"num_experts": 1, "norm": "layer"}, {"temperature": 1.0, "norm": "none", "reduction": 2}],
    refusals={
        ("", "trains on one image"): BATCH_OF_TWO,
        ("num_experts=1 norm=layer", "attention values"): SINGLE,
    },
    numbers={
        "num_experts": [1, 2],
        "reduction": [2],
        "floor": [8],
        "temperature": [1.0],
        "annealing_epochs": [0],
    },
    costs=[
        ({"num_experts": 1}, []),
        ({"num_experts": 3, "reduction": 2, "floor": 4}, []),
        ({"bias": True}, ["with bias"]),
    ],
    letters=letters,
)
