"""Linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

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


@layer("linear", kind="linear", layout=channels_last_layout, draws=False)
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
    `normal` and `trunc_normal` from N(0, std²), `xavier_uniform` and `xavier_normal` as PyTorch's, `zeros` all 0.
    `bias_init` is `torch`, PyTorch's own and the default with `torch` weights, `zeros`, the default with all others,
    `normal`: N(0, 1e-12), or a number that all biases start at.

    >>> sum(p.numel() for p in linear(8, out_features=3).parameters())
    27
    """
    return fill(undrawn(nn.Linear, channels, out_features, bias), init, std, bias_init)


def _last_axis_layout(inputs: Sequence[Any], *, axis: str = "n", **options: Any) -> str:
    found = inputs[0].layout
    if found is None or found.split()[-1] != axis:
        others = [one for one in (found or "").split() if one != axis]
        hint = f'`{{op: rearrange, pattern: "{found} -> {" ".join([*others, axis])}"}}`'
        raise ValueError(
            f"`axis_linear` maps the last axis, which must be `{axis}`; found layout `{found}`; "
            + (f"put {hint} before it" if axis in (found or "").split() else "set axis to one that it has")
        )
    return str(found)


def _mixed_grid(inputs: Sequence[Any], *, axis: str = "n", **options: Any) -> None:
    """Mixed tokens stand nowhere; the residual add behind them, which knows the grid of its other input, says where."""


@layer("axis_linear", kind="linear", layout=_last_axis_layout, grid=_mixed_grid, draws=False)
def axis_linear(
    height: int | None = None,
    width: int | None = None,
    tokens: int | None = None,
    *,
    out_features: PositiveInt,
    axis: Literal["n", "h", "w"] = "n",
    bias: bool = True,
    init: LinearLaw = "torch",
    std: PositiveFloat = 0.02,
    bias_init: BiasLaw | None = None,
) -> nn.Linear:
    """Map tokens, rows or columns, rearranged to be the last axis, to o = `out_features`; each channel alike.

    Shape:   b c n -> b c o        axis: n;  b w c h -> b w c o        axis: h;  b h c w -> b h c o        axis: w
    Math:    y = W x + b
    Params:  n o + o;  n o without bias

    This is how MLP-Mixer mixes tokens: `rearrange` to `b c n`, an MLP of these, and back. It fits inputs of the size
    it was built for. `init`, `std` and `bias_init` are those of linear.

    >>> sum(p.numel() for p in axis_linear(tokens=8, out_features=3).parameters())
    27
    """
    length = {"n": tokens, "h": height, "w": width}[axis]
    assert length is not None, "the layout rule has seen to it"
    return fill(undrawn(nn.Linear, length, out_features, bias), init, std, bias_init)
