"""sSE: the spatial half of scSE. Roy et al., MICCAI 2018."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from composer.kernels import fused
from composer.kernels.grouped import gated_by
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.registry import mechanism

# Positions from which the kernel is the faster one; measured at 28 × 28 and 56 × 56.
MANY = 2048


def _is_faster(module: Any, x: Tensor) -> bool:
    return x.dtype == torch.float32 and x.shape[2:].numel() >= MANY and is_large(module, x)


@mechanism(
    "sse",
    kind="spatial",
    layout="b c *",
    aliases=("channel squeeze and spatial excitation", "spatial se", "spatial squeeze and excitation"),
)
class SpatialExcitation(ChannelGate):
    """Rescale each position by a gate computed from its channels alone.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(w x + v)        w: c -> 1, at each position
    Params:  c + 1
    MACs:    c h w
    Source:  Roy et al., Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks, MICCAI
             2018. arXiv:1803.02579
    Departs: a bias v, as in the authors' code.
    Start:   the authors' code, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(c).

    >>> sum(p.numel() for p in SpatialExcitation(64).parameters())
    65
    """

    def __init__(self, channels: int, spatial_dims: int = 2):
        super().__init__(spatial_dims)
        self.conv = self.pointwise(channels, 1)

    def statistics(self, x: Tensor) -> Tensor:
        """x itself."""
        return x

    def excite(self, x: Tensor) -> Tensor:
        """The gate, b 1 h w, in (0, 1)."""
        return self.conv(x).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b 1 h w, in (0, 1)."""
        return self.excite(x)

    @fused(gated_by(("self", None)), where=_is_faster)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
