"""GE-θ⁻: gather-excite without parameters. Hu et al., Gather-Excite, NeurIPS 2018."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from composer.kernels import fused
from composer.kernels.channel import gated_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.spatial.ge import Extent
from composer.registry import mechanism


def _faster(module: GatherExciteMinus, x: Tensor) -> bool:
    return module.extent == 0 and is_large(module, x)


@mechanism("ge_minus", kind="spatial", layout="b c *", aliases=("ge-theta-minus", "gather-excite without parameters"))
class GatherExciteMinus(ChannelGate):
    """Rescale each element by the sigmoid of the mean of its surroundings in its channel.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * up(sigmoid(mean(x)))        the mean over windows of 2e - 1, e apart;  e = 0: over the whole map
    Params:  0
    MACs:    0
    Source:  Hu et al., Gather-Excite: Exploiting Feature Context in CNNs, NeurIPS 2018, sec. 3. arXiv:1810.12348
    Departs: nothing. Positions outside the map do not count; up is nearest-neighbour interpolation.
    Start:   nothing to start.

    `extent` is e.

    >>> sum(p.numel() for p in GatherExciteMinus(extent=4).parameters())
    0
    """

    def __init__(self, spatial_dims: int = 2, *, extent: Extent = 0):
        super().__init__(spatial_dims)
        if extent == 1:
            raise ValueError("ge_minus: extent=1 gathers nothing; use 2 or more, or 0 for the whole map")
        self.extent = extent

    def excite(self, z: Tensor) -> Tensor:
        """The gate of the means, both b c 1 1."""
        return z.sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w (b c 1 1 for the whole map), in (0, 1)."""
        e = self.extent
        if e == 0:
            return self.excite(self.mean(x))
        if self.spatial_dims == 3:
            # PyTorch's own padding of a video asks for a map as large as the window.
            around = [e - 1] * 6
            padded, inside = F.pad(x, around), F.pad(torch.ones_like(x[:1, :1]), around)
            z = F.avg_pool3d(padded, 2 * e - 1, e) / F.avg_pool3d(inside, 2 * e - 1, e)
        else:
            pool = {1: F.avg_pool1d, 2: F.avg_pool2d}[self.spatial_dims]
            z = pool(x, 2 * e - 1, e, e - 1, count_include_pad=False)
        return F.interpolate(self.excite(z), size=x.shape[2:])

    @fused(gated_by_mean, where=_faster)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
