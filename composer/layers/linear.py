"""Linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from composer.layers.init import BiasLaw, LinearLaw, fill, undrawn
from composer.options import PositiveFloat, PositiveInt
from composer.registry import layer


def channels_last_layout(inputs: Sequence[Any], **options: Any) -> str:
    """The layout of the single input, whose last axis must be `c`. Raises ValueError."""
    found = inputs[0].layout
    if found is None or found.split()[-1] != "c":
        raise ValueError(
            f"works on the last axis, which must be `c`; found layout `{found}`; "
            "pool or flatten the map, or rearrange it so that `c` is last"
        )
    return str(found)


@layer("linear", kind="linear", layout=channels_last_layout)
def linear(
    channels: int,
    *,
    out_features: PositiveInt,
    bias: bool = True,
    init: LinearLaw = "torch",
    std: PositiveFloat = 0.02,
    bias_init: BiasLaw | None = None,
) -> nn.Linear:
    """Map the channels of each position (the last axis) to o = `out_features` numbers.

    Shape:   ... c -> ... o
    Math:    y = W x + b
    Params:  c o + o;  c o without bias

    `init` says how weights are drawn: `torch` is PyTorch's own, `uniform_fan_out` between -1/sqrt(o) and 1/sqrt(o),
    `normal` and `trunc_normal` from N(0, std²). `bias_init` is `torch`, PyTorch's own and the default with
    `torch` weights, or `zeros`, the default with all others.

    >>> sum(p.numel() for p in linear(8, out_features=3).parameters())
    27
    """
    return fill(undrawn(nn.Linear, channels, out_features, bias), init, std, bias_init)
