"""Normalisations."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from composer.layers.linear import channels_last_layout
from composer.options import PositiveFloat, Probability
from composer.registry import layer


@layer("batch_norm", kind="norm", layout="b c h w -> b c h w")
def batch_norm(
    channels: int,
    *,
    eps: PositiveFloat = 1e-5,
    momentum: Probability = 0.1,
    init: Literal["ones", "zeros"] = "ones",
) -> nn.BatchNorm2d:
    """Normalise each channel over the batch and all positions; in evaluation, by the running statistics.

    Shape:   b c h w -> b c h w
    Params:  2c
    Source:  Ioffe & Szegedy, Batch Normalization, ICML 2015. arXiv:1502.03167

    `init: zeros` starts the scale at 0 instead of 1, so that a branch that ends here starts at 0.
    """
    made = nn.BatchNorm2d(channels, eps, momentum)
    if init == "zeros":
        nn.init.zeros_(made.weight)
    return made


@layer("layer_norm", kind="norm", layout=channels_last_layout)
def layer_norm(channels: int, *, eps: PositiveFloat = 1e-5) -> nn.LayerNorm:
    """Normalise each position over its channels (the last axis).

    Shape:   ... c -> ... c
    Params:  2c
    Source:  Ba et al., Layer Normalization, 2016. arXiv:1607.06450
    """
    return nn.LayerNorm(channels, eps)


@layer("layer_norm_2d", kind="norm", layout="b c h w -> b c h w")
class LayerNorm2d(nn.LayerNorm):
    """Normalise each position of a feature map over its channels.

    Shape:   b c h w -> b c h w
    Params:  2c
    Source:  Ba et al., Layer Normalization, 2016. arXiv:1607.06450
    """

    def __init__(self, channels: int, *, eps: PositiveFloat = 1e-5):
        super().__init__(channels, eps)

    def forward(self, input: Tensor) -> Tensor:
        x = input.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
