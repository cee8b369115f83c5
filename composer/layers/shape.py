"""Layers that reorder or reshape a tensor without changing its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.layers.axis import check_axis
from composer.options import NonNegativeInt, PositiveInt
from composer.registry import TokenGrid, layer


def _method(call: str) -> Callable[..., str]:
    """The code of a forward that calls a tensor's method, with the options filled in."""
    return lambda names, inputs, **options: f"{names[0]}{call.format(**options)}"


@layer("channels_first", kind="shape", layout="b h w c -> b c h w", code=_method(".permute(0, 3, 1, 2)"))
def channels_first(x: Tensor) -> Tensor:
    """b h w c -> b c h w"""
    return x.permute(0, 3, 1, 2)


@layer("channels_last", kind="shape", layout="b c h w -> b h w c", code=_method(".permute(0, 2, 3, 1)"))
def channels_last(x: Tensor) -> Tensor:
    """b c h w -> b h w c"""
    return x.permute(0, 2, 3, 1)


@layer("flatten", kind="shape", layout="b c h w -> b c", code=_method(".flatten(1)"))
def flatten(x: Tensor) -> Tensor:
    """b c h w -> b (c h w)"""
    return x.flatten(1)


@layer("contiguous", kind="shape", grid=lambda inputs: inputs[0].grid, code=_method(".contiguous()"))
def contiguous(x: Tensor) -> Tensor:
    """The same numbers, which lie in memory in the order of the axes.

    Shape:   any -> the same

    A convolution computes the same either way, but not always in the same order, and then the last bit may differ.
    """
    return x.contiguous()


def _sliced_layout(inputs: Sequence[Any], *, start: int, end: int) -> str:
    found, channels = inputs[0].layout, inputs[0].channels
    if found not in ("b c h w", "b n c", "b c"):
        raise ValueError(f"`channels` works on `b c h w`, `b n c` or `b c`, found `{found}`; rearrange it")
    if not start < end <= channels:
        raise ValueError(
            f"`channels` cannot take {start} to {end} of {channels} channels; set 0 <= start < end <= {channels}"
        )
    return str(found)


def _sliced_code(names: list[str], inputs: Sequence[Any], *, start: int, end: int) -> str:
    return f"{names[0]}[{'..., ' if inputs[0].layout == 'b n c' else ':, '}{start}:{end}]"


def _same_grid(inputs: Sequence[Any], *, start: int, end: int) -> TokenGrid | None:
    grid: TokenGrid | None = inputs[0].grid
    return grid


@layer("channels", kind="shape", layout=_sliced_layout, grid=_same_grid, code=_sliced_code)
def channels(x: Tensor, *, start: NonNegativeInt, end: PositiveInt) -> Tensor:
    """The channels from `start`, counted from 0, to before `end`.

    Shape:   b c h w -> b (end - start) h w;  the same for b n c and b c
    """
    # A function sees no layout; with three axes it is that of tokens.
    return x[..., start:end] if x.ndim == 3 else x[:, start:end]


def _shuffled_layout(inputs: Sequence[Any], *, groups: int) -> str:
    found, channels = inputs[0].layout, inputs[0].channels
    if found != "b c h w":
        raise ValueError(f"`channel_shuffle` works on `b c h w`, found `{found}`; rearrange it")
    if channels % groups:
        raise ValueError(
            f"`channel_shuffle` cannot put {channels} channels into {groups} groups; "
            f"set groups to a divisor of {channels}"
        )
    return str(found)


def _shuffle_code(names: list[str], inputs: Sequence[Any], *, groups: int) -> str:
    return f"torch.unflatten({names[0]}, 1, ({groups}, -1)).transpose(1, 2).flatten(1, 2)"


@layer("channel_shuffle", kind="shape", layout=_shuffled_layout, code=_shuffle_code)
def channel_shuffle(x: Tensor, *, groups: PositiveInt) -> Tensor:
    """Take channels from each of `groups` groups in turn, so that the next grouped convolution mixes the groups.

    Shape:   b (g c) h w -> b (c g) h w
    Source:  Zhang et al., ShuffleNet, CVPR 2018, sec. 3.1. arXiv:1707.01083
    """
    return torch.unflatten(x, 1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def _rolled_layout(inputs: Sequence[Any], *, shifts: Any, dims: Any) -> str | None:
    shifts, dims = _listed(shifts), _listed(dims)
    if len(shifts) != len(dims):
        raise ValueError(
            f"`roll` takes a shift for each of its dims, found {len(shifts)} and {len(dims)}; make them equally many"
        )
    for dim in dims:
        check_axis("roll", inputs[0], dim)
    layout: str | None = inputs[0].layout
    return layout


def _listed(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _roll_code(names: list[str], inputs: Sequence[Any], *, shifts: Any, dims: Any) -> str:
    return f"torch.roll({names[0]}, {_listed(shifts)}, {_listed(dims)})"


@layer("roll", kind="shape", layout=_rolled_layout, code=_roll_code)
def roll(x: Tensor, *, shifts: int | list[int], dims: int | list[int]) -> Tensor:
    """Move everything by `shifts` along the axes `dims`, counted from 0; what leaves at an end comes in at the other.

    Shape:   any -> the same, such as b h w c with `{shifts: [-3, -3], dims: [1, 2]}`

    >>> roll(torch.tensor([[1, 2, 3, 4]]), shifts=1, dims=1)
    tensor([[4, 1, 2, 3]])
    """
    return torch.roll(x, _listed(shifts), _listed(dims))
