"""Gaussian context transformer. Ruan et al., CVPR 2021."""

from __future__ import annotations

import torch
from torch import Tensor

from composer.kernels import fused
from composer.kernels.channel import gated_by_fine_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import PositiveFloat
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
EPSILON = 1e-5


@mechanism(
    "gct_gaussian",
    kind="channel",
    layout="b c *",
    aliases=("gaussian context transformer", "gct", "高斯上下文变换"),
)
class GaussianContextTransformer(ChannelGate):
    """Rescale each channel by a Gaussian of how far its mean is from those of the other channels.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * exp(-n² / (2 sigma²))        n = (z - mean_c(z)) / sqrt(var_c(z) + 1e-5),  z = mean_hw(x)
    Params:  0
    MACs:    0
    Source:  Ruan et al., Gaussian Context Transformer, CVPR 2021: GCT-B0, with a constant sigma of 2.
    Departs: nothing; we know of no code of the authors. The copy in pytorch-attention has exp(-n² sigma / 2), a far
             narrower Gaussian: `sigma: 0.7071`.
             The gated channel transformation, also called GCT, is `gct`.
    Start:   nothing to start.

    A single channel is its own mean and keeps its values.

    >>> sum(p.numel() for p in GaussianContextTransformer().parameters())
    0
    """

    def __init__(self, spatial_dims: int = 2, *, sigma: PositiveFloat = 2.0):
        super().__init__(spatial_dims)
        self.sigma = sigma

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        centred = z - z.mean(1, keepdim=True)
        squares = centred.square()
        return (squares / (squares.mean(1, keepdim=True) + EPSILON) / (-2 * self.sigma**2)).exp()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1]."""
        return self.excite(self.mean(at_least_float32(x))).to(x.dtype)

    @fused(gated_by_fine_mean, where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
