"""Gates that several convolutions of a block share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from composer.options import PositiveInt
from composer.registry import layer


@layer("condconv_router", kind="other", layout="b c h w -> b c")
class CondConvRouter(nn.Module):
    """A gate per expert, computed from the pooled input, for `condconv` with `router: given`.

    Shape:   b c h w -> b n
    Math:    a = sigmoid(R mean_hw(x))        R: c -> n
    Params:  n (c + 1)
    Source:  Yang et al., CondConv: Conditionally Parameterized Convolutions, NeurIPS 2019, eq. 2. arXiv:1904.04971
    Start:   the authors' code: U(-b, b) with b = sqrt(6 / (c + n)), zero biases.

    >>> sum(p.numel() for p in CondConvRouter(16, num_experts=8).parameters())
    136
    """

    def __init__(self, channels: int, *, num_experts: PositiveInt = 8):
        super().__init__()
        # Not an nn.Linear itself, because some tools would feed it the unpooled map; only the initial weights come from
        # one.
        linear = nn.Linear(channels, num_experts)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.mean((2, 3)), self.weight, self.bias).sigmoid()
