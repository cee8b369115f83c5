"""SA: shuffle attention. Zhang & Yang, SA-Net, ICASSP 2021."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.channel_norm import ChannelNorm
from composer.mechanisms.shared.divisors import divisor_at_most, nearest_divisors
from composer.mechanisms.shared.memory_format import in_format_of, with_gradient_in_format
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("in_format_of")
torch.fx.wrap("with_gradient_in_format")


@mechanism(
    "shuffle",
    kind="channel+spatial",
    aliases=("shuffle attention", "sa-net", "sanet", "sa_layer", "sa", "置换注意力"),
)
class ShuffleAttention(nn.Module):
    """Rescale half of each group by gates of channels, the other half by gates of elements, and mix the halves.

    Shape:   b c h w -> b c h w
    Math:    y = shuffle([x0 * sigmoid(w0 * mean_hw(x0) + b0); x1 * sigmoid(w1 * N(x1) + b1)])        in g groups
             x0, x1: the halves of a group, of c / (2g) channels;  w, b: a number for each, the same in all groups
             N: a norm of each channel over h w;  shuffle: channels 0, c/2, 1, c/2 + 1, …
    Params:  3c / g
    MACs:    0
    Source:  Zhang & Yang, SA-Net: Shuffle Attention for Deep Convolutional Neural Networks, ICASSP 2021.
             arXiv:2102.00240
    Departs: nothing where 128 divides the channels. The abstract's 300 parameters for ResNet-50 are 708 in the authors'
             code, and here.
    Start:   the authors' code: w 0 and b 1, so that every gate starts at sigmoid(1) = 0.73.

    `groups` is g. By default it is 64, as in the authors' code, or, where 64 does not divide c / 2, the largest number
    below 64 that does; the authors' code has no parameters below 128 channels. On a map of a single position N gives
    its bias, whatever x is. Channels change places: `gated(x)` is what the values of `attention(x)` multiply.

    >>> sum(p.numel() for p in ShuffleAttention(64, groups=8).parameters())
    24
    """

    def __init__(self, channels: int, *, groups: PositiveInt | None = None):
        super().__init__()
        if channels % 2:
            raise ValueError(f"shuffle: {channels} channels have no two halves; put it where their number is even")
        half = channels // 2
        if groups is None:
            groups = divisor_at_most(half, 64)
        if half % groups:
            text = f"half of {channels} channels does not divide into {groups} groups"
            raise ValueError(f"shuffle: {text}; set groups to {nearest_divisors(half, groups)}")
        self.groups = groups
        # An axis for each of b g d h w; all but d are 1.
        self.cweight, self.sweight = (nn.Parameter(torch.zeros(1, half // groups, 1, 1)) for _ in range(2))
        self.cbias, self.sbias = (nn.Parameter(torch.ones(1, half // groups, 1, 1)) for _ in range(2))
        self.gn = ChannelNorm(half // groups)

    def _halves(self, x: Tensor) -> tuple[Tensor, ...]:
        """x0 and x1, b g d h w."""
        return x.unflatten(1, (self.groups, 2, -1)).unbind(2)

    def _gates(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        """The gates of x0, b g d 1 1, and of x1, b g d h w."""
        channels = (self.cweight * x0.mean((3, 4), keepdim=True) + self.cbias).sigmoid()
        normed = self.gn(x1.flatten(0, 1)).unflatten(0, (-1, self.groups))
        return channels, (self.sweight * normed + self.sbias).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The gates, b c h w, in (0, 1), in the order of the output's channels."""
        x0, x1 = self._halves(x)
        channels, elements = self._gates(x0, x1)
        return joined(channels.expand_as(elements), elements)

    def gated(self, x: Tensor) -> Tensor:
        """x, in the order of the output's channels."""
        return joined(*self._halves(x))

    def forward(self, x: Tensor) -> Tensor:
        x0, x1 = self._halves(with_gradient_in_format(x))
        channels, elements = self._gates(x0, x1)
        return in_format_of(x, joined(x0 * channels, x1 * elements))


def joined(x0: Tensor, x1: Tensor) -> Tensor:
    """Both halves of all groups, b g d h w each, as one map, of which the two halves take turns: b c h w."""
    y = torch.stack([x0, x1], 2).flatten(1, 3)
    return y.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
