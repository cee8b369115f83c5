"""The channel half of CBAM. Woo et al., CBAM, ECCV 2018."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.grouped import gated_by
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism("cbam_channel", kind="channel", layout="b c *", aliases=("cbam channel attention", "ChannelAttention"))
class ChannelAttention(ChannelGate):
    """Rescale each channel by a gate computed from its mean and its maximum, with one shared perceptron.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(M(mean_hw(x)) + M(max_hw(x)))        M(z) = W2 relu(W1 z),  d = max(1, c // r)
    Params:  2cd + c + d;  2cd without bias
    MACs:    4cd
    Source:  Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, eq. 2. arXiv:1807.06521
    Departs: biases are on, as in the authors' code; the equation has none. Equal maxima share the
             gradient; in the authors' code one of them gets all of it.
    Start:   the authors' code: PyTorch's own, U(-b, b) with b = 1 / sqrt(inputs), but zero biases.

    `reduction` is r.

    >>> sum(p.numel() for p in ChannelAttention(64).parameters())
    580
    """

    def __init__(self, channels: int, spatial_dims: int = 2, *, reduction: PositiveInt = 16, bias: bool = True):
        super().__init__(spatial_dims)
        hidden = max(1, channels // reduction)
        self.fc1 = self.pointwise(channels, hidden, bias=bias)
        self.act = nn.ReLU()
        self.fc2 = self.pointwise(hidden, channels, bias=bias)
        for layer in (self.fc1, self.fc2):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and maximum of each channel, b c 1 1."""
        return self.mean(x), x.amax(self.positions, keepdim=True)

    def excite(self, mean: Tensor, maximum: Tensor) -> Tensor:
        """The gate b c 1 1, from the statistics."""
        # Stacked, so that the perceptron runs once: quantisers refuse a layer that is called twice. As images: PyTorch
        # is several times slower with two positions.
        z = torch.cat([mean, maximum])
        return self.fc2(self.act(self.fc1(z))).unflatten(0, (2, -1)).sum(0).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return self.excite(*self.statistics(x))

    @fused(gated_by(("mean", None), ("max", None)), where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
