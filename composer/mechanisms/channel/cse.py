"""cSE: the channel half of scSE. Roy et al., MICCAI 2018."""

from __future__ import annotations

from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.channel import gated_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "cse",
    kind="channel",
    layout="b c *",
    aliases=("spatial squeeze and channel excitation", "channel se of scse"),
)
class ChannelExcitation(ChannelGate):
    """Rescale each channel by a gate computed from the globally pooled input: `se` with the start and the r of scSE.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(W2 relu(W1 mean_hw(x)))        W1: c -> d,  W2: d -> c,  d = max(1, c // r)
    Params:  2cd + c + d
    MACs:    2cd
    Source:  Roy et al., Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks, MICCAI
             2018. arXiv:1803.02579
    Departs: nothing.
    Start:   the authors' code, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(inputs).

    `reduction` is r.

    >>> sum(p.numel() for p in ChannelExcitation(64).parameters())
    4192
    """

    def __init__(self, channels: int, spatial_dims: int = 2, *, reduction: PositiveInt = 2):
        super().__init__(spatial_dims)
        hidden = max(1, channels // reduction)
        self.fc1 = self.pointwise(channels, hidden)
        self.act = nn.ReLU()
        self.fc2 = self.pointwise(hidden, channels)

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        return self.fc2(self.act(self.fc1(z))).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return self.excite(self.mean(x))

    @fused(gated_by_mean, where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
