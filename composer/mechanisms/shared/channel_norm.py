"""A norm of each channel over its positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelNorm(nn.GroupNorm):
    """Instance norm with a weight and a bias for each channel. A map of a single position becomes the bias.

    torch.nn's norms raise ValueError for one value per channel, even in evaluation.
    """

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(self, input: Tensor) -> Tensor:
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
