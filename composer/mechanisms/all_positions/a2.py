"""A²: double attention. Chen et al., A²-Nets: Double Attention Networks, NeurIPS 2018."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
torch.fx.wrap("in_format_of")


def _plain(module: DoubleAttention, x: Tensor) -> Tensor:
    """The same output, by the weights of all positions for each position."""
    y = module.convA(x).flatten(2) @ module.attention(x).squeeze(1).transpose(1, 2)
    return x + module.proj(y.unflatten(2, x.shape[2:]))


@mechanism(
    "a2",
    kind="token",
    group="global",
    layout="b c h w",
    place={"after": "stage", "where": "last"},
    reference=_plain,
    aliases=("double attention", "a2-net", "a2net", "a2-nets", "a²-net", "双重注意力"),
)
class DoubleAttention(nn.Module):
    """Gather the map into a few descriptors by attention, and give each position a mixture of them by another.

    Shape:   b c h w -> b c h w
    Math:    y = x + W (G softmax_n(V x))        G = (A x) softmax_hw(B x)ᵀ,  A: c -> m,  B, V: c -> n,  W: m -> c
             m = n = max(2, c // r)
    Params:  2cm + 2cn + m + 2n + c
    MACs:    (2cm + 2cn + 2mn) h w
    Source:  Chen et al., A²-Nets: Double Attention Networks, NeurIPS 2018. arXiv:1810.11579
    Departs: nothing. The first softmax runs over positions, the second over descriptors; copies that call softmax
             without an axis mix the images of a batch. Others leave out `x +`.
    Start:   as PyTorch does, U(-b, b) with b = 1 / sqrt(inputs); the paper does not state it.

    `reduction` is r; the paper's is 4. Each descriptor sees all positions; the weights of positions for one another are
    computed by `attention` alone.

    >>> sum(p.numel() for p in DoubleAttention(64).parameters())
    4208
    """

    def __init__(self, channels: int, *, reduction: PositiveInt = 4):
        super().__init__()
        hidden = max(2, channels // reduction)
        self.convA = nn.Conv2d(channels, hidden, 1)
        self.convB = nn.Conv2d(channels, hidden, 1)
        self.convV = nn.Conv2d(channels, hidden, 1)
        self.proj = nn.Conv2d(hidden, channels, 1)

    def _both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        gather = at_least_float32(self.convB(x).flatten(2)).softmax(2)
        return gather, at_least_float32(self.convV(x).flatten(2)).softmax(1)

    def attention(self, x: Tensor) -> Tensor:
        """The weight of all positions for each position (row), b 1 n n, at least float32: by all descriptors together.

        Rows sum to 1. Computed on request: a forward never stores them.
        """
        gather, distribute = self._both(x)
        return (distribute.transpose(1, 2) @ gather).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.convA(x).flatten(2)
        gather, distribute = self._both(x)
        descriptors = features @ gather.to(features.dtype).transpose(1, 2)
        y = (descriptors @ distribute.to(features.dtype)).unflatten(2, x.shape[2:])
        return x + self.proj(in_format_of(x, y))
