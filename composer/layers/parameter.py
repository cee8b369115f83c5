"""Nodes that are learnable tensors, such as ViT's `cls_token` and ConvNeXt's `gamma`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from composer.options import PositiveFloat, PositiveInt
from composer.registry import layer


@layer("parameter", kind="parameter")
def parameter(
    *,
    shape: list[PositiveInt],
    init: float | Literal["zeros", "ones", "normal", "trunc_normal"] = "zeros",
    std: PositiveFloat = 0.02,
    grid: tuple[PositiveInt, PositiveInt] | None = None,
) -> nn.Parameter:
    """A learnable tensor of this `shape`: filled with the number `init`, or drawn around 0 with deviation `std`.

    With a `grid` of h x w, the last h w entries of the second axis are positions of a map; weights learnt on
    another grid are resampled when loaded. Raises ValueError if the second axis has fewer entries.

    >>> parameter(shape=[3], init=0.5).tolist()
    [0.5, 0.5, 0.5]
    """
    if grid is not None and (len(shape) != 3 or shape[1] < grid[0] * grid[1]):
        raise ValueError(
            f"a grid of {grid[0]}×{grid[1]} takes a shape 1×n×c of at least {grid[0] * grid[1]} positions, found "
            f"{'×'.join(map(str, shape))}; set grid to the rows and columns of the map"
        )
    tensor = torch.empty(shape)
    if init == "normal":
        nn.init.normal_(tensor, std=std)
    elif init == "trunc_normal":
        nn.init.trunc_normal_(tensor, std=std)
    elif isinstance(init, str):
        tensor.fill_({"zeros": 0.0, "ones": 1.0}[init])
    else:
        tensor.fill_(init)
    return nn.Parameter(tensor)
