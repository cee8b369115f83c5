"""Channel prior convolutional attention."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, D, uniform

# Depthwise kernels by their numbers.
KERNELS = {
    "dconv5_5": 25,
    **{f"crosses.{i}.{j}": k for i, k in enumerate((7, 11, 21)) for j in (0, 1)},
}

CASE = Case(
    starts=[
        (
            {"reduction": 2},
            1,
            {
                "fc1.weight": uniform(C),
                "fc1.bias": uniform(C),
                "fc2.weight": uniform(D),
                "fc2.bias": uniform(D),
                "conv.weight": uniform(C),
                "conv.bias": uniform(C),
                **{f"{name}.{part}": uniform(k) for name, k in KERNELS.items() for part in ("weight", "bias")},
            },
        )
    ],
    values=[({}, "b c h w", None)],
    options=[{"proj": True}],
    refusals={("proj=True", "attention values"): "cpca: with proj the factors are those of the projected input"},
    numbers={"reduction": [8]},
    costs=[({"reduction": 8}, []), ({"proj": True}, ["with proj"])],
    letters=lambda c, h, w, conv, options: {"d": c // options.get("reduction", 4)},
)
