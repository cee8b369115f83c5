"""Convolutions for networks without normalisation layers: their weights are normalised instead of their outputs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.layers.conv import check_groups
from composer.layers.pad import pad_same
from composer.options import NonNegativeInt, PositiveFloat, PositiveInt
from composer.registry import layer


@layer("scaled_std_conv2d", kind="conv", layout="b c h w -> b c h w")
class ScaledStandardisedConv2d(nn.Conv2d):
    """Convolve with weights of mean 0 and variance gamma² / fan-in per output, times a learnable gain.

    Shape:   b c h w -> b o h' w'        h' as of conv2d;  ceil(h / stride) with tensorflow_padding
    Math:    V = gain gamma (W - mean(W)) / sqrt((var(W) + eps) n)        over the n = k² c / groups of an output
    Params:  k² c o / groups + 2o;  k² c o / groups + o without bias
    Source:  Brock et al., High-Performance Large-Scale Image Recognition Without Normalization, ICML 2021, eq. 1.
             arXiv:2102.06171

    `gamma` is the factor by which the activation before reduces the standard deviation. `gain` is the gain's initial
    value. `tensorflow_padding` pads with the fewest zeros that give ceil(h / stride) outputs; an odd number has its
    larger half at the end. A stride then has other centres than with the symmetric padding of conv2d. Raises ValueError
    if `groups` does not divide the channels, for a fan-in of 1, and for both kinds of padding.

    >>> sum(p.numel() for p in ScaledStandardisedConv2d(8, out_channels=16, kernel_size=3).parameters())
    1184
    """

    def __init__(
        self,
        in_channels: int,
        *,
        out_channels: PositiveInt,
        kernel_size: PositiveInt,
        stride: PositiveInt = 1,
        padding: NonNegativeInt | None = None,
        dilation: PositiveInt = 1,
        groups: PositiveInt = 1,
        bias: bool = True,
        gamma: PositiveFloat = 1.0,
        gain: float = 1.0,
        eps: PositiveFloat = 1e-5,
        tensorflow_padding: bool = False,
    ):
        check_groups(in_channels, out_channels, groups)
        fan_in = kernel_size**2 * in_channels // groups
        if fan_in == 1:
            raise ValueError("an output of one weight has no variance; set groups or kernel_size so that it has more")
        if tensorflow_padding and padding is not None:
            raise ValueError(f"padding={padding} and tensorflow_padding exclude each other; remove one")
        reach = dilation * (kernel_size - 1)
        uneven = tensorflow_padding and (stride > 1 or reach % 2 == 1)
        self.reach = reach if uneven else 0
        if padding is None:
            padding = 0 if uneven else reach // 2
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.scale, self.eps = gamma * fan_in**-0.5, eps
        self.gain = nn.Parameter(torch.full((out_channels, 1, 1, 1), gain))

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="linear")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def standardised(self) -> Tensor:
        """The standardised weights, o c/groups k k."""
        # A batch norm with the outputs as channels: a single fused operation, forward and backward.
        flat = self.weight.flatten(1).unsqueeze(0)
        scale = (self.gain * self.scale).flatten()
        return F.batch_norm(flat, None, None, scale, training=True, eps=self.eps).view_as(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        weight = self.standardised()
        padded = pad_same(input, self.reach, self.stride[0]) if self.reach else input
        return F.conv2d(padded, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
