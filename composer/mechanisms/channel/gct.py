"""GCT: gated channel transformation. Yang et al., CVPR 2020."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.grouped import gated_by
from composer.kernels.passes import has_many_positions
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.precision import at_least_float32
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
EPSILON = 1e-5


def _faster(module: GatedChannelTransformation, x: Tensor) -> bool:
    return module.norm == "l2" and has_many_positions(module, x)


@mechanism(
    "gct",
    kind="channel",
    layout="b c *",
    place={"before": "spatial_conv"},
    aliases=("gated channel transformation", "gated channel transform", "门控通道变换"),
)
class GatedChannelTransformation(ChannelGate):
    """Rescale each channel by its norm beside the norms of the others: channels compete or help each other.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * (1 + tanh(gamma s / sqrt(mean_c(s²) + eps) + beta))        s = alpha sqrt(sum_hw(x²) + eps)
             `norm: l1`: 1 + tanh(gamma s / (mean_c(|s|) + eps) + beta),  s = alpha sum_hw(|x|);  eps = 1e-5
             alpha, beta, gamma: a number for each channel
    Params:  3c
    MACs:    0
    Source:  Yang et al., Gated Channel Transformation for Visual Recognition, CVPR 2020. arXiv:1909.11519
    Departs: nothing. The Gaussian Context Transformer, also called GCT, is `gct_gaussian`.
    Start:   the authors' code: alpha 1, beta and gamma 0, so that it starts as the identity.

    The authors put it before every convolution; here it goes before the k × k ones unless a rule says otherwise.

    >>> sum(p.numel() for p in GatedChannelTransformation(64).parameters())
    192
    """

    def __init__(self, channels: int, spatial_dims: int = 2, *, norm: Literal["l2", "l1"] = "l2"):
        super().__init__(spatial_dims)
        self.norm = norm
        shape = (1, channels, *[1] * spatial_dims)
        self.alpha = nn.Parameter(torch.ones(shape))
        self.gamma = nn.Parameter(torch.zeros(shape))
        self.beta = nn.Parameter(torch.zeros(shape))

    def statistics(self, x: Tensor) -> Tensor:
        """The sum of squares of each channel, or of absolute values, b c 1 1, at least float32."""
        # Sums of squares overflow half precision.
        fine = at_least_float32(x)
        return (fine.square() if self.norm == "l2" else fine.abs()).sum(self.positions, keepdim=True)

    def excite(self, sums: Tensor) -> Tensor:
        """The factor of each channel, b c 1 1, from the statistics."""
        if self.norm == "l2":
            s = (sums + EPSILON).sqrt() * self.alpha
            shared = (s.square().mean(1, keepdim=True) + EPSILON).sqrt()
        else:
            s = sums * self.alpha
            shared = s.abs().mean(1, keepdim=True) + EPSILON
        return 1 + (s * (self.gamma / shared) + self.beta).tanh()

    def attention(self, x: Tensor) -> Tensor:
        """The factor of each channel, b c 1 1, in (0, 2)."""
        return self.excite(self.statistics(x)).to(x.dtype)

    @fused(gated_by(("squares", None)), where=_faster)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
