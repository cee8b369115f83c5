"""SRM: style-based recalibration. Lee et al., SRM, ICCV 2019."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm
from composer.mechanisms.shared.precision import at_least_float32
from composer.mechanisms.shared.unbiased import unbiased_mean
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")


@mechanism(
    "srm",
    kind="channel",
    layout="b c *",
    aliases=("style-based recalibration module", "style recalibration", "风格重标定"),
)
class StyleRecalibration(ChannelGate):
    """Rescale each channel by a gate computed from its own mean and standard deviation.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(BN(u m + v s))        m = mean_hw(x),  s = sqrt(var_hw(x) + 1e-5), var over h w - 1
             u, v: a number for each channel
    Params:  4c;  2c without norm
    MACs:    0
    Source:  Lee et al., SRM: A Style-based Recalibration Module for Convolutional Neural Networks, ICCV 2019.
             arXiv:1903.10829
    Departs: a map of a single position, where h w - 1 is 0 and the authors' code gives NaN, has the variance 0.
    Start:   the authors' code: u and v 0, so that every gate starts at 1/2.

    In training mode it needs a batch of at least 2, since a batch norm over one value raises ValueError; `norm: layer`
    and `norm: none` work with a batch of 1.

    >>> sum(p.numel() for p in StyleRecalibration(64).parameters())
    256
    """

    def __init__(self, channels: int, spatial_dims: int = 2, *, norm: PooledNorm = "batch"):
        super().__init__(spatial_dims)
        self.cfc = nn.Parameter(torch.zeros(channels, 2))
        self.bn = pooled_norm(norm, channels, spatial_dims)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel, b c 1 1, at least float32."""
        fine = at_least_float32(x)
        mean = self.mean(fine)
        return mean, (unbiased_mean((fine - mean).square(), self.positions) + 1e-5).sqrt()

    def excite(self, mean: Tensor, std: Tensor) -> Tensor:
        """The gate b c 1 1, from the statistics."""
        u, v = self.cfc.to(mean.dtype).unflatten(0, (-1, *[1] * self.spatial_dims)).unbind(-1)
        gate: Tensor = self.bn((u * mean + v * std).to(self.cfc.dtype)).sigmoid()
        return gate

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return self.excite(*self.statistics(x)).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
