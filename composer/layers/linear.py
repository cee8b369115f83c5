"""Linear maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import nn

from composer.options import PositiveInt
from composer.registry import layer


def channels_last_layout(inputs: Sequence[Any], **options: Any) -> str:
    """The layout of the one input, whose last axis must be `c`. Raises ValueError."""
    found = inputs[0].layout
    if found is None or found.split()[-1] != "c":
        raise ValueError(
            f"works on the last axis, which must be `c`; found layout `{found}`; "
            "pool or flatten the map, or rearrange it so that `c` is last"
        )
    return str(found)


@layer("linear", kind="linear", layout=channels_last_layout)
class Linear(nn.Linear):
    """Map the channels of each position, which are the last axis, to `out_features` numbers.

    Shape:   ... c -> ... o
    Math:    y = W x + b
    Params:  c o + o;  c o without bias

    `init: trunc_normal` draws weights from N(0, 0.02²) and sets the bias to 0; `torch` is PyTorch's own.

    >>> sum(p.numel() for p in Linear(8, out_features=3).parameters())
    27
    """

    def __init__(
        self,
        channels: int,
        *,
        out_features: PositiveInt,
        bias: bool = True,
        init: Literal["torch", "trunc_normal"] = "torch",
    ):
        # nn.Linear calls reset_parameters while it is being built.
        self.init = init
        super().__init__(channels, out_features, bias)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        if self.init == "torch":
            super().reset_parameters()
            return
        nn.init.trunc_normal_(self.weight, std=0.02)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
