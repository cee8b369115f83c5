"""scSE: concurrent spatial and channel squeeze and excitation. Roy et al., MICCAI 2018."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from composer.kernels import fused
from composer.kernels.grouped import gated_by
from composer.kernels.passes import is_large
from composer.mechanisms.channel.cse import ChannelExcitation
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.spatial.sse import SpatialExcitation
from composer.options import PositiveInt
from composer.registry import mechanism


def _faster(module: ConcurrentExcitation, x: Tensor) -> bool:
    # The maximum of both products is not linear in x.
    return module.fuse == "add" and is_large(module, x, last=1)


@mechanism(
    "scse",
    kind="channel+spatial",
    layout="b c *",
    aliases=("concurrent squeeze and excitation", "concurrent spatial and channel squeeze and excitation", "csse"),
)
class ConcurrentExcitation(ChannelGate):
    """Rescale channels and, beside that, positions; each element keeps the larger result, or gets their sum.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = max(x * a, x * e)        a = sigmoid(W2 relu(W1 mean_hw(x))),  e = sigmoid(w x + v)
             `fuse: add`: y = x * a + x * e;  W1: c -> d,  W2: d -> c,  d = max(1, c // r),  w: c -> 1
    Params:  2cd + 2c + d + 1
    MACs:    2cd + c h w
    Source:  Roy et al., Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks, MICCAI
             2018. arXiv:1803.02579. The authors' code has r = 2 and the maximum.
    Departs: the equation adds (`fuse: add`), as does segmentation_models_pytorch, with `reduction: 16`.
    Start:   the authors' code, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(inputs).

    `reduction` is r. The halves by themselves are `cse` and `sse`.

    >>> sum(p.numel() for p in ConcurrentExcitation(64).parameters())
    4257
    """

    def __init__(
        self,
        channels: int,
        spatial_dims: int = 2,
        *,
        reduction: PositiveInt = 2,
        fuse: Literal["add", "max"] = "max",
    ):
        super().__init__(spatial_dims)
        self.fuse = fuse
        self.channel = ChannelExcitation(channels, spatial_dims, reduction=reduction)
        self.spatial = SpatialExcitation(channels, spatial_dims)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of each channel, b c 1 1, and x itself, which the gate of positions is made of."""
        return self.mean(x), x

    def excite(self, mean: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gates of channels, b c 1 1, and of positions, b 1 h w."""
        return self.channel.excite(mean), self.spatial.attention(x)

    def rescaled(self, x: Tensor, a: Tensor, e: Tensor) -> Tensor:
        """x, rescaled by both gates, b c h w."""
        # Not x * (a + e): that sum would forget channels_last.
        return torch.addcmul(x * a, x, e) if self.fuse == "add" else torch.maximum(x * a, x * e)

    def attention(self, x: Tensor) -> Tensor:
        """The factor of each element, b c h w, in (0, 1); with `fuse: add` in (0, 2)."""
        a, e = self.excite(*self.statistics(x))
        if self.fuse == "add":
            return a + e
        # The larger result of a negative number is that of the smaller gate.
        return torch.where(x >= 0, torch.maximum(a, e), torch.minimum(a, e))

    @fused(gated_by(("mean", None), ("self", None), together="sum"), where=_faster)
    def forward(self, x: Tensor) -> Tensor:
        return self.rescaled(x, *self.excite(*self.statistics(x)))
