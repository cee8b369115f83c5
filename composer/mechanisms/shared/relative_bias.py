"""What attention adds to the logits of tokens by where they stand on their grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.layers.relative import RelativePositionBias


class RelativeBias(nn.Module):
    """A learnt number per head and offset between two positions, and one each to, from and among prefix tokens.

    Shape:   -> 1 H n n        n = k + h w: k prefix tokens, then a grid h × w

    `prefix` holds the number of a prefix token for a position, of a position for a prefix token, and of two prefix
    tokens: timm's tables of BEiT have these rows at the end.
    """

    def __init__(self, grid: tuple[int, int], prefix_tokens: int, num_heads: int):
        super().__init__()
        self.prefix_tokens = prefix_tokens
        self.grid = RelativePositionBias(window=grid, num_heads=num_heads)
        self.prefix = nn.Parameter(torch.empty(3, num_heads)) if prefix_tokens else None
        if self.prefix is not None:
            nn.init.trunc_normal_(self.prefix, std=0.02)

    def forward(self) -> Tensor:
        bias: Tensor = self.grid()
        if self.prefix is None:
            return bias
        count, positions = self.prefix_tokens, bias.shape[3]
        looks, is_seen, both = self.prefix[:, None, :, None, None].unbind(0)
        upper = torch.cat([both.expand(-1, -1, count, count), looks.expand(-1, -1, count, positions)], 3)
        lower = torch.cat([is_seen.expand(-1, -1, positions, count), bias], 3)
        return torch.cat([upper, lower], 2)
