"""What gates with large kernels share: they stand alone, or between two projections beside a shortcut, as in VAN."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

KernelSize = Literal[7, 11, 23, 35, 41, 53]
# How many positions both see together -> kernel, kernel of the second, and its dilation, as in LSKA's code.
DECOMPOSED: dict[KernelSize, tuple[int, int, int]] = {
    7: (3, 3, 2),
    11: (3, 5, 2),
    23: (5, 7, 3),
    35: (5, 11, 3),
    41: (5, 13, 3),
    53: (5, 17, 3),
}


class LargeKernelGate(nn.Module, ABC):
    """x * gate(x); with `proj`, x + proj_2(u * gate(u)) where u = gelu(proj_1(x)).

    With `proj` the gate itself is a child, `spatial_gating_unit`, and the weights have the authors' names.
    """

    def __init__(self, name: str, channels: int, proj: bool, gate: Callable[[], LargeKernelGate]):
        super().__init__()
        self.name, self.proj = name, proj
        if proj:
            self.proj_1 = nn.Conv2d(channels, channels, 1)
            self.spatial_gating_unit = gate()
            self.proj_2 = nn.Conv2d(channels, channels, 1)
            draw(self.proj_1, self.proj_2)

    @abstractmethod
    def gate(self, x: Tensor) -> Tensor:
        """The factors of the input, b c h w; each mechanism has its own."""

    def attention(self, x: Tensor) -> Tensor:
        """The factors of the input, b c h w, of any sign and size.

        Raises NotImplementedError with `proj`: `spatial_gating_unit.attention` has those of the projected input.
        """
        if self.proj:
            raise NotImplementedError(f"{self.name}: with proj the gate is that of the projected input, in a child")
        return self.gate(x)

    def forward(self, x: Tensor) -> Tensor:
        if not self.proj:
            return x * self.gate(x)
        return x + self.proj_2(self.spatial_gating_unit(F.gelu(self.proj_1(x))))


def depthwise(channels: int, rows: int, columns: int, dilation: int = 1) -> nn.Conv2d:
    """A convolution of each channel with a kernel of rows × columns, both odd, that keeps the size of the map."""
    padding = (rows // 2 * dilation, columns // 2 * dilation)
    return nn.Conv2d(channels, channels, (rows, columns), padding=padding, dilation=dilation, groups=channels)


def draw(*layers: nn.Conv2d) -> None:
    """Start convolutions as the authors of VAN, and others after them, do: N(0, 2 g / (k² o)), and zero biases."""
    for layer in layers:
        fan_out = layer.weight[0, 0].numel() * layer.out_channels / layer.groups
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
