"""Layers that reorder or reshape a tensor without changing its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import einops
import torch
from torch import Tensor

from composer.layers.axis import check_axis
from composer.options import NonNegativeInt, PositiveInt
from composer.registry import TokenGrid, layer


def _rearranged_layout(inputs: Sequence[Any], *, pattern: str) -> str:
    left, right = _sides(pattern)
    found = inputs[0].layout
    if found is not None and " ".join(left) != found:
        raise ValueError(
            f"`rearrange` is told `{' '.join(left)}` comes in, found `{found}`; start the pattern with `{found} ->`"
        )
    if len(left) != len(inputs[0].shape):
        raise ValueError(
            f"`rearrange` is told of {len(left)} axes (`{' '.join(left)}`), "
            f"found {inputs[0]} with {len(inputs[0].shape)}; name each axis once"
        )
    return " ".join(_axis_name(axis) for axis in right)


def _sides(pattern: str) -> tuple[list[str], list[list[str]]]:
    """The axes of the input, and those of the output, each as the list of input axes it merges. Raises ValueError."""
    start, arrow, end = pattern.partition("->")
    left, right = _axes(start), _axes(end)
    if not arrow or not left or not right or any(len(axes) != 1 for axes in left):
        raise ValueError(
            f"`rearrange` cannot read the pattern `{pattern}`; "
            "write axis names, `->` and the same names in their new order, with parentheses around axes to merge"
        )
    names = [axis for axes in left for axis in axes]
    if sorted(names) != sorted(axis for axes in right for axis in axes) or len(set(names)) != len(names):
        raise ValueError(f"`rearrange` pattern `{pattern}` must name the same axes on both sides, each once")
    return names, right


def _axes(text: str) -> list[list[str]]:
    """`b (h w) c` as [[b], [h, w], [c]]; empty if the text is not such a list."""
    found: list[list[str]] = []
    merged = False
    for token in re.findall(r"[a-z_][a-z0-9_]*|\S", text):
        if token == "(" and not merged:
            found.append([])
            merged = True
        elif token == ")" and merged and found[-1]:
            merged = False
        elif not token.isidentifier():
            return []
        elif merged:
            found[-1].append(token)
        else:
            found.append([token])
    return [] if merged else found


def _axis_name(axes: list[str]) -> str:
    if len(axes) == 1:
        return axes[0]
    if set(axes) == {"h", "w"}:
        return "n"
    # A merge with the batch is no batch; a merge of channels with positions still counts as channels.
    return "_" if "b" in axes or "c" not in axes else "c"


def _rearranged_grid(inputs: Sequence[Any], *, pattern: str) -> TokenGrid | None:
    """The grid of tokens that stay an axis, or that are the positions of a map row by row."""
    x = inputs[0]
    tokens = next((axes for axes in _sides(pattern)[1] if _axis_name(axes) == "n"), [])
    if tokens == ["n"]:
        return x.grid
    return TokenGrid(x.axis("h"), x.axis("w")) if tokens == ["h", "w"] and x.layout else None


def _rearrange_code(names: list[str], inputs: Sequence[Any], *, pattern: str) -> str:
    """The same as PyTorch code: a permutation, and a flatten per merge."""
    left, right = _sides(pattern)
    order = [left.index(axis) for axes in right for axis in axes]
    moved = names[0] if order == sorted(order) else f"{names[0]}.permute({', '.join(map(str, order))})"
    merged = [(index, len(axes)) for index, axes in enumerate(right) if len(axes) > 1]
    calls = "".join(f".flatten({index}, {index + count - 1})" for index, count in merged)
    return moved + calls


@layer("rearrange", kind="shape", layout=_rearranged_layout, grid=_rearranged_grid, code=_rearrange_code)
def rearrange(x: Tensor, *, pattern: str) -> Tensor:
    """Reorder axes and merge those in parentheses, as in einops.

    The output's layout is the right side of `pattern`; `(h w)` becomes `n` (tokens), and a merge with `c` becomes `c`.

    >>> import torch
    >>> rearrange(torch.zeros(2, 3, 4, 5), pattern="b c h w -> b (h w) c").shape
    torch.Size([2, 20, 3])
    """
    return einops.rearrange(x, pattern)


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


def _sliced_layout(inputs: Sequence[Any], *, start: int, end: int) -> str:
    found, channels = inputs[0].layout, inputs[0].channels
    if found not in ("b c h w", "b c"):
        raise ValueError(f"`channels` works on `b c h w` or `b c`, found `{found}`; rearrange it")
    if not start < end <= channels:
        raise ValueError(
            f"`channels` cannot take {start} to {end} of {channels} channels; set 0 <= start < end <= {channels}"
        )
    return str(found)


@layer("channels", kind="shape", layout=_sliced_layout, code=_method("[:, {start}:{end}]"))
def channels(x: Tensor, *, start: NonNegativeInt, end: PositiveInt) -> Tensor:
    """The channels from `start`, counted from 0, to before `end`.

    Shape:   b c h w -> b (end - start) h w;  the same for b c
    """
    return x[:, start:end]


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
