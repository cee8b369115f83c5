"""EMA: efficient multi-scale attention. Ouyang et al., ICASSP 2023."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.channel_norm import ChannelNorm
from composer.mechanisms.shared.divisors import groups_of
from composer.mechanisms.shared.memory_format import with_gradient_in_format
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
torch.fx.wrap("with_gradient_in_format")


@mechanism(
    "ema",
    kind="channel+spatial",
    aliases=("efficient multi-scale attention", "efficient multi-scale", "ema attention", "高效多尺度注意力"),
)
class EfficientMultiScaleAttention(nn.Module):
    """Rescale each position of a group of channels by a gate that a branch of strips and one of 3 × 3 compute together.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(a(x1) · x2 + a(x2) · x1)        a(z) = softmax_d(mean_hw(z)),  each of g groups by itself
             x1 = N(x * sigmoid(u_h) * sigmoid(u_w)),  [u_h; u_w] = W [mean_w(x); mean_h(x)],  x2 = conv3x3(x)
             W, conv3x3: d -> d,  d = c / g,  the same for all groups;  N: a norm of each channel over h w
    Params:  10d² + 4d
    MACs:    c d (h + w) + 9c d h w + 2c h w
    Source:  Ouyang et al., Efficient Multi-Scale Attention Module with Cross-Spatial Learning, ICASSP 2023.
             arXiv:2305.13563. The authors' code, which fixes what the text leaves open.
    Departs: nothing where 32 groups divide the channels. Copies in detectors have 8 groups (672 parameters at c = 64).
    Start:   the authors' code, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(d) in W and 1 / sqrt(9d) in conv3x3.

    `groups` is g, `factor` in the authors' code. By default it is 32, or, where 32 does not divide the channels, the
    largest number below 32 that does: 24 for the 144 channels of MobileNetV2. With as many groups as channels, a is 1.
    On a map of a single position the norm gives its bias, whatever x is: then only conv3x3 looks at x.

    >>> sum(p.numel() for p in EfficientMultiScaleAttention(64).parameters())
    48
    """

    def __init__(self, channels: int, *, groups: PositiveInt | None = None):
        super().__init__()
        self.groups = groups_of("ema", channels, groups, 32)
        width = channels // self.groups
        self.conv1x1 = nn.Conv2d(width, width, 1)
        self.conv3x3 = nn.Conv2d(width, width, 3, padding=1)
        self.gn = ChannelNorm(width)

    def _gate(self, x: Tensor) -> Tensor:
        """The gate of each group, b g h w."""
        height, width = x.shape[2:]
        x = with_gradient_in_format(x).unflatten(1, (self.groups, -1)).flatten(0, 1)
        u = self.conv1x1(torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)], 2)).sigmoid()
        x1 = self.gn(x * u[:, :, :height] * u[:, :, height:].transpose(2, 3))
        x2 = self.conv3x3(x)
        logits = share_of_channels(x1) @ x2.flatten(2) + share_of_channels(x2) @ x1.flatten(2)
        return logits.sigmoid().unflatten(2, (height, width)).unflatten(0, (-1, self.groups)).squeeze(2)

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w, equal for the channels of a group, in (0, 1)."""
        gate = self._gate(x).unsqueeze(2)
        return gate.expand(-1, -1, x.shape[1] // self.groups, -1, -1).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        # The gate first: in this order, the backward pass holds one gradient of the map less.
        gate = self._gate(x).unsqueeze(2)
        return (x.unflatten(1, (self.groups, -1)) * gate).flatten(1, 2)


def share_of_channels(x: Tensor) -> Tensor:
    """The softmax of the means of the channels: b d h w -> b 1 d."""
    return at_least_float32(x.mean((2, 3))).softmax(1).to(x.dtype).unsqueeze(1)
