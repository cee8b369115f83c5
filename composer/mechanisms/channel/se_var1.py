"""SE-Var-1: squeeze-and-excitation without parameters. Wang et al., ECA-Net, CVPR 2020."""

from __future__ import annotations

from torch import Tensor

from composer.kernels import fused
from composer.kernels.channel import gated_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.registry import mechanism


@mechanism("se_var1", kind="channel", layout="b c *")
class SEVar1(ChannelGate):
    """Rescale each channel by the sigmoid of its own mean.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(mean_hw(x))
    Params:  0
    MACs:    0
    Source:  Wang et al., ECA-Net: Efficient Channel Attention for Deep CNNs, CVPR 2020, table 2. arXiv:1910.03151
    Departs: nothing.
    Start:   nothing to start.

    >>> sum(p.numel() for p in SEVar1().parameters())
    0
    """

    def __init__(self, spatial_dims: int = 2):
        super().__init__(spatial_dims)

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        return z.sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return self.excite(self.mean(x))

    @fused(gated_by_mean, where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
