"""Gates that several convolutions of a block share."""

from __future__ import annotations

from torch import Tensor, nn

from composer.options import PositiveInt
from composer.registry import layer


@layer("condconv_router", kind="other", layout="b c h w -> b c")
class CondConvRouter(nn.Linear):
    """A gate for each expert from the pooled input, for `condconv` with `router: given`.

    Shape:   b c h w -> b n
    Math:    a = sigmoid(R mean_hw(x))        R: c -> n
    Params:  n (c + 1)
    Source:  Yang et al., CondConv: Conditionally Parameterized Convolutions, NeurIPS 2019, eq. 2. arXiv:1904.04971

    >>> sum(p.numel() for p in CondConvRouter(16, num_experts=8).parameters())
    136
    """

    def __init__(self, channels: int, *, num_experts: PositiveInt = 8):
        super().__init__(channels, num_experts)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.mean((2, 3))).sigmoid()
