"""SimAM: a simple, parameter-free attention module. Yang et al., SimAM, ICML 2021."""

from __future__ import annotations

import torch
from torch import Tensor

from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.precision import at_least_float32
from composer.mechanisms.shared.unbiased import unbiased_mean
from composer.options import PositiveFloat
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")


@mechanism(
    "simam",
    kind="channel+spatial",
    layout="b c *",
    aliases=("simple attention module", "parameter-free attention", "simam_module", "无参注意力"),
)
class SimAM(ChannelGate):
    """Rescale each element by a gate that grows with its distance from the mean of its channel.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid((x - m)² / (4 (v + lambda)) + 1/2)        m = mean_hw(x),  v = sum_hw (x - m)² / (h w - 1)
    Params:  0
    MACs:    0
    Source:  Yang et al., SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks, ICML 2021,
             PMLR 139. The authors' code.
    Departs: a map of a single position, where h w - 1 is 0 and the authors' code gives NaN, has v = 0: its gate is
             sigmoid(1/2) = 0.62, as that of every element that equals its mean.
    Start:   nothing to start.

    `e_lambda` is lambda. The authors' class has 1e-4; their commands for ImageNet set 0.1.

    >>> sum(p.numel() for p in SimAM().parameters())
    0
    """

    def __init__(self, spatial_dims: int = 2, *, e_lambda: PositiveFloat = 1e-4):
        super().__init__(spatial_dims)
        self.e_lambda = e_lambda

    def _gate(self, x: Tensor) -> Tensor:
        """The gate, b c h w, at least float32: squares of half precision overflow above 256."""
        x = at_least_float32(x)
        squares = (x - self.mean(x)).square()
        v = unbiased_mean(squares, self.positions)
        return (squares / (4 * (v + self.e_lambda)) + 0.5).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w, in (0.62, 1)."""
        return self._gate(x).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
