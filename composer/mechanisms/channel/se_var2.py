"""SE-Var-2: squeeze-and-excitation with one weight per channel. Wang et al., ECA-Net, CVPR 2020."""

from __future__ import annotations

from torch import Tensor

from composer.kernels import fused
from composer.kernels.channel import gated_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.registry import mechanism


@mechanism("se_var2", kind="channel", layout="b c *")
class SEVar2(ChannelGate):
    """Rescale each channel by a gate computed from its own mean and a weight of its own.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(u * mean_hw(x) + v)        u, v: a number per channel
    Params:  2c;  c without bias
    MACs:    c
    Source:  Wang et al., ECA-Net: Efficient Channel Attention for Deep CNNs, CVPR 2020, eq. 4. arXiv:1910.03151
    Departs: the bias v is on; the equation has none.
    Start:   PyTorch's own, U(-1, 1) for u and v; the authors' code does not contain it.

    >>> sum(p.numel() for p in SEVar2(64, bias=False).parameters())
    64
    """

    def __init__(self, channels: int, spatial_dims: int = 2, *, bias: bool = True):
        super().__init__(spatial_dims)
        # One group per channel: an element-wise product, with weights in timm's and PyTorch's shape.
        self.fc = self.pointwise(channels, channels, groups=channels, bias=bias)

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        return self.fc(z).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return self.excite(self.mean(x))

    @fused(gated_by_mean, where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
