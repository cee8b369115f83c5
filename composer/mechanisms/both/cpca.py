"""CPCA: channel prior convolutional attention. Huang et al., 2023."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.large_kernel import depthwise
from composer.options import PositiveInt
from composer.registry import mechanism

# Lengths of the crosses behind the 5 × 5 kernel.
_CROSSES = (7, 11, 21)


@mechanism(
    "cpca",
    kind="channel+spatial",
    aliases=("channel prior convolutional attention", "channel prior attention", "通道先验卷积注意力"),
)
class ChannelPriorAttention(nn.Module):
    """Rescale channels by the sum of two gates, then each element by a mixture of depthwise crosses of the result.

    Shape:   b c h w -> b c h w
    Math:    y = x' * W (u + sum_k conv_k1(conv_1k(u)))        u = conv_5x5(x'),  k: 7, 11, 21,  all depthwise
             x' = x * (sigmoid(M(mean_hw(x))) + sigmoid(M(max_hw(x)))),  M(z) = W2 relu(W1 z),  d = max(1, c // r)
             with proj: y = W (x' * W (…)) of gelu(W x) in place of x, the same W three times
    Params:  c² + 2cd + 112c + d
    MACs:    (c² + 103c) h w + 4cd;  (3c² + 103c) h w + 4cd with proj
    Source:  Huang et al., Channel prior convolutional attention for medical image segmentation, 2023. arXiv:2306.05196.
             The authors' code has the projections (`proj: true`), and one W for all three places.
    Departs: equal maxima share the gradient; in the authors' code one of them gets all of it.
    Start:   the authors' code, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(inputs of an output).

    `reduction` is r. The factors of positions are not squashed: they have any sign and size.

    >>> sum(p.numel() for p in ChannelPriorAttention(64).parameters())
    13328
    """

    def __init__(self, channels: int, *, reduction: PositiveInt = 4, proj: bool = False):
        super().__init__()
        self.proj, hidden = proj, max(1, channels // reduction)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.dconv5_5 = depthwise(channels, 5, 5)
        self.crosses = nn.ModuleList(
            nn.Sequential(depthwise(channels, 1, k), depthwise(channels, k, 1)) for k in _CROSSES
        )
        self.conv = nn.Conv2d(channels, channels, 1)

    def _mix(self, x: Tensor) -> Tensor:
        # Quantisers pass over a bare function, but refuse a module that is called three times.
        return F.conv2d(x, self.conv.weight, self.conv.bias) if self.proj else self.conv(x)

    def _channels(self, x: Tensor) -> Tensor:
        """The factor of each channel, b c 1 1, in (0, 2)."""
        z = torch.cat([x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)], 2)
        return self.fc2(self.act(self.fc1(z))).sigmoid().sum(2, keepdim=True)

    def _positions(self, x: Tensor) -> Tensor:
        """The factor of each element, b c h w."""
        u = self.dconv5_5(x)
        total = u
        for cross in self.crosses:
            total = total + cross(u)
        return self._mix(total)

    def attention(self, x: Tensor) -> Tensor:
        """The product of both factors, b c h w, of any sign and size.

        Raises NotImplementedError with `proj`, where they multiply the projected input.
        """
        if self.proj:
            raise NotImplementedError("cpca: with proj the factors are those of the projected input")
        first = self._channels(x)
        return first * self._positions(x * first)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self._mix(x)) if self.proj else x
        x = x * self._channels(x)
        y = self._positions(x) * x
        return self._mix(y) if self.proj else y
