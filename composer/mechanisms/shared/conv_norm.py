"""A convolution, its batch norm and perhaps an activation, under the names of Ultralytics: `conv`, `bn`, `act`."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def conv_norm(inputs: int, outputs: int, kernel_size: int = 1, *, groups: int = 1, act: bool = False) -> nn.Sequential:
    """The layers for b c h w, which keep the size of the map; `act` adds a SiLU."""
    conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, groups=groups, bias=False)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs))
    if act:
        layers["act"] = nn.SiLU()
    return nn.Sequential(layers)
