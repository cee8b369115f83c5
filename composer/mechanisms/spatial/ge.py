"""GE-θ: gather-excite with learnt gathering. Hu et al., Gather-Excite, NeurIPS 2018."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm
from composer.registry import mechanism

torch.fx.wrap("of_built_size")

# 0 means the whole map; no map is large enough for a larger extent.
Extent = Annotated[int, Field(ge=0, le=1024)]


class Gather(nn.Sequential):
    """Sums up each channel by depthwise convolutions: b c h w -> b c h/e w/e, or b c 1 1 for e = 0.

    Raises ValueError for an extent that is not a power of two; with e = 0 also in forward, for a map of another size.
    """

    def __init__(self, name: str, channels: int, height: int, width: int, extent: int, norm: PooledNorm):
        if extent == 1 or extent & (extent - 1):
            below = 1 << (extent.bit_length() - 1)
            nearest = "2" if extent == 1 else f"{below} or {2 * below}"
            raise ValueError(f"{name}: extent={extent} is no power of two; use {nearest}, or 0 for the whole map")
        super().__init__()
        self.name, self.extent, self.size = name, extent, (height, width)
        steps = extent.bit_length() - 1 if extent else 1
        for step in range(steps):
            kernel: dict[str, object] = {"kernel_size": 3, "stride": 2, "padding": 1}
            if extent == 0:
                kernel = {"kernel_size": (height, width)}
            conv = nn.Conv2d(channels, channels, groups=channels, bias=False, **kernel)  # type: ignore[arg-type]
            nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
            self.add_module(f"conv{step + 1}", conv)
            self.add_module(f"bn{step + 1}", pooled_norm(norm, channels))
            # A relu before the sigmoid would keep every gate above 1/2.
            if step < steps - 1:
                self.add_module(f"act{step + 1}", nn.ReLU())

    def forward(self, input: Tensor) -> Tensor:
        if self.extent == 0:
            input = of_built_size(input, self.size, f"{self.name}: extent=0 was", ", or set an extent")
        for layer in self:
            input = layer(input)
        return input


@mechanism("ge", kind="spatial", aliases=("gather-excite", "GatherExcite", "ge-theta"))
class GatherExcite(nn.Module):
    """Rescale each element by a gate that learnt convolutions compute from its surroundings in its channel.

    Shape:   b c h w -> b c h w
    Math:    y = x * up(sigmoid(z))        z = BN(conv_hw(x))        e = 0: one depthwise kernel as large as the map
             e > 0: z = BN(conv3x3(z)) log2(e) times, depthwise, stride 2, with relu in between
    Params:  c (h w + 2);  11c i with an extent of 2^i
    MACs:    c h w;  9c S with an extent of 2^i,  S the sum of ceil(h / 2^j) ceil(w / 2^j) for j from 1 to i
    Source:  Hu et al., Gather-Excite: Exploiting Feature Context in CNNs, NeurIPS 2018, sec. 3. arXiv:1810.12348
    Departs: nothing. up is nearest-neighbour interpolation.
    Start:   the authors' files: N(0, 2 / k²) kernels of k × k, h × w at extent 0 (Caffe's `msra`).

    `extent` is e; with 0 it fits maps of a single size and raises ValueError for others. In training mode it needs a
    batch of at least 2 if it gathers to a single position, since a batch norm over one value raises ValueError;
    `norm: layer` and `norm: none` work with a batch of 1.

    >>> sum(p.numel() for p in GatherExcite(64, 7, 7, extent=8).parameters())
    2112
    """

    def __init__(self, channels: int, height: int, width: int, *, extent: Extent = 0, norm: PooledNorm = "batch"):
        super().__init__()
        self.gather = Gather("ge", channels, height, width, extent, norm)

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w (b c 1 1 where it gathers the whole map), in (0, 1)."""
        return spread(self.gather(x).sigmoid(), x, self.gather.extent)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


def spread(gate: Tensor, x: Tensor, extent: int) -> Tensor:
    """A coarse gate at the size of the map; a gate for the whole map stays b c 1 1 and broadcasts."""
    return F.interpolate(gate, size=x.shape[2:]) if extent else gate
