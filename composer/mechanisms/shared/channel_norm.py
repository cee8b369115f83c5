"""A group norm that takes maps of a single position."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelNorm(nn.GroupNorm):
    """A group norm, by default of each channel by itself. A single value for a norm becomes the bias.

    torch.nn's norms raise ValueError there for a batch of one, even in evaluation.
    """

    def __init__(self, channels: int, groups: int | None = None):
        super().__init__(groups or channels, channels)

    def forward(self, input: Tensor) -> Tensor:
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
