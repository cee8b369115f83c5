"""Focal modulation. Yang et al., Focal Modulation Networks, NeurIPS 2022."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.memory_format import in_format_of
from composer.options import NonNegativeInt, OddInt, PositiveFloat, PositiveInt
from composer.registry import mechanism

torch.fx.wrap("in_format_of")


@mechanism(
    "focal",
    kind="token",
    layout="b c h w",
    applied="branches",
    aliases=("focalnet", "focal modulation", "focal modulation network", "焦点调制"),
)
class FocalModulation(nn.Module):
    """Rescale a query of each position by its context, gathered over wider and wider surroundings, without a softmax.

    Shape:   b c h w -> b c h w
    Math:    y = W_o (q * W_h sum_l g_l z_l)        q, z, g_1 … g_(L+1) = W x
             z_0 = z,  z_l = gelu(conv_l(z_(l-1))) depthwise,  z_(L+1) = gelu(mean_hw(z_L))
    Params:  4c² + c (m + 4) + m + c e        m = L + 1, e the sum of the sides of all kernels squared
    MACs:    (4c² + c m + c e) h w
    Source:  Yang et al., Focal Modulation Networks, NeurIPS 2022. arXiv:2203.11926
    Departs: nothing.
    Start:   the authors' code: W and W_o N(0, 0.02²), cut off at -2 and 2, and zero biases; W_h and the others as
             PyTorch does.

    `focal_level` is L. The kernel of level l has side `focal_window` + (l - 1) `focal_factor`, which must be odd.
    `normalize_modulator` divides the sum by L + 1. `std` draws all convolutions from N(0, std²) and sets biases to
    zero, as timm does with 0.02. `attention` gives the mean of g. It takes maps of any size.

    >>> sum(p.numel() for p in FocalModulation(64).parameters())
    19011
    """

    def __init__(
        self,
        channels: int,
        *,
        focal_level: PositiveInt = 2,
        focal_window: OddInt = 3,
        focal_factor: NonNegativeInt = 2,
        normalize_modulator: bool = False,
        std: PositiveFloat | None = None,
    ):
        super().__init__()
        if focal_factor % 2:
            raise ValueError(f"focal: focal_factor={focal_factor} gives even kernels; use an even number")
        self.lengths = (channels, channels, focal_level + 1)
        self.share = 1 / (focal_level + 1) if normalize_modulator else 1.0
        self.f = nn.Conv2d(channels, sum(self.lengths), 1)
        self.h = nn.Conv2d(channels, channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)
        sides = [focal_window + level * focal_factor for level in range(focal_level)]
        self.focal_layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels, bias=False), nn.GELU()
            )
            for side in sides
        )
        convolutions = [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]
        for layer in (self.f, self.proj) if std is None else convolutions:
            nn.init.trunc_normal_(layer.weight, std=0.02 if std is None else std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def attention(self, x: Tensor) -> Tensor:
        """The factor of each level's context, on average over all positions, b L+1 1 1 1; of any sign."""
        return self.f(x).split(self.lengths, 1)[2].mean((2, 3))[:, :, None, None, None]

    def forward(self, x: Tensor) -> Tensor:
        q, context, gates = self.f(x).split(self.lengths, 1)
        total = torch.zeros_like(context)
        for level, layer in enumerate(self.focal_layers):
            context = layer(context)
            total = total + context * gates[:, level : level + 1]
        whole = F.gelu(context.mean((2, 3), keepdim=True))
        total = (total + whole * gates[:, -1:]) * self.share
        return in_format_of(x, self.proj(q * self.h(total)))
