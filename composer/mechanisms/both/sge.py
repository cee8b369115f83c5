"""SGE: spatial group-wise enhance. Li et al., 2019."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.divisors import groups_of
from composer.mechanisms.shared.memory_format import with_gradient_in_format
from composer.mechanisms.shared.precision import at_least_float32
from composer.mechanisms.shared.unbiased import unbiased_mean
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
torch.fx.wrap("with_gradient_in_format")


@mechanism(
    "sge",
    kind="channel+spatial",
    layout="b c *",
    aliases=("spatial group-wise enhance", "spatial group enhance", "空间分组增强"),
)
class SpatialGroupEnhance(ChannelGate):
    """Rescale each position of a group of channels by a gate that says how like the group's mean its vector is.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(w (t - mean_hw(t)) / (std_hw(t) + 1e-5) + b)        t = x · mean_hw(x), a dot product
             for each of g groups of c / g channels;  w, b: a number for each group;  std over h w - 1
    Params:  2g
    MACs:    0
    Source:  Li et al., Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional Networks, 2019.
             arXiv:1905.09646
    Departs: a map of a single position, where h w - 1 is 0 and the authors' code gives NaN, has the gate sigmoid(b).
    Start:   the authors' code: w 0 and b 1, so that every gate starts at sigmoid(1) = 0.73.

    `groups` is g. By default it is 64, or, where 64 does not divide the channels, the largest number below that does.

    >>> sum(p.numel() for p in SpatialGroupEnhance(256).parameters())
    128
    """

    def __init__(self, channels: int, spatial_dims: int = 2, *, groups: PositiveInt | None = None):
        super().__init__(spatial_dims)
        self.groups = groups_of("sge", channels, groups, 64)
        self.weight = nn.Parameter(torch.zeros(1, self.groups, *[1] * spatial_dims))
        self.bias = nn.Parameter(torch.ones(1, self.groups, *[1] * spatial_dims))

    def statistics(self, x: Tensor) -> Tensor:
        """How like the mean of its group each position is, b g h w, at least float32: mean 0, standard deviation 1."""
        # Products of half precision overflow above 256.
        x = at_least_float32(with_gradient_in_format(x))
        means, vectors = (one.unflatten(1, (self.groups, -1)) for one in (self.mean(x), x))
        likeness = (vectors * means).sum(2)
        centred = likeness - self.mean(likeness)
        # The root of 0 has no gradient; the clamp is far below the 1e-5.
        std = unbiased_mean(centred.square(), self.positions).clamp_min(1e-24).sqrt()
        return centred / (std + 1e-5)

    def excite(self, likeness: Tensor) -> Tensor:
        """The gate of each group, b g h w, from the statistics."""
        return (likeness * self.weight + self.bias).sigmoid()

    def rescaled(self, x: Tensor, gate: Tensor) -> Tensor:
        """x, each group rescaled by its gate, b c h w."""
        return (x.unflatten(1, (self.groups, -1)) * gate.unsqueeze(2)).flatten(1, 2)

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w, equal for the channels of a group, in (0, 1)."""
        gate = self.excite(self.statistics(x)).to(x.dtype).unsqueeze(2)
        return gate.expand(-1, -1, x.shape[1] // self.groups, *[-1] * self.spatial_dims).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        # The gate first: in this order, the backward pass holds one gradient of the map less.
        gate = self.excite(self.statistics(x)).to(x.dtype)
        return self.rescaled(x, gate)
