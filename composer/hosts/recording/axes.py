"""What the axes of a recorded tensor are made of, followed through steps that only move numbers.

Where positions of 2×2 patches go into the batch, a map `b c h w` has the axes `(b h' w') (h w) c`, and `h w` are every
second row and column. It is the algebra of einops: reshapes split and join factors, permutations move axes. Products of
matrices keep the rows of the first and the columns of the second, linear layers mix the last axis into new channels.
Whatever is not known to do one of these ends the trail, so a grid read off the factors is where tokens stand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from composer.dag.tensor import Axes, Factor, TensorSpec
from composer.registry import TokenGrid

# Tokens of windows p that stand side by side on an axis of their own.
WINDOWS = "b c p n"
_LAYOUTS = frozenset({"b c", "b c h w", "b h w c", "b n c", "b c n", WINDOWS})
_PLACES = ("h", "w")


def axes_of(tensor: TensorSpec) -> Axes | None:
    """What the axes are made of; of a tensor without a trail, its layout says it. None if nothing does."""
    if tensor.axes is not None or tensor.layout is None:
        return tensor.axes
    grid, found = tensor.grid, list[tuple[Factor, ...]]()
    for name, length in zip(tensor.layout.split(), tensor.shape, strict=True):
        if name == "n" and grid is not None and grid.prefix == 0 and grid.tokens == length:
            found.append((Factor("h", grid.height), Factor("w", grid.width)))
        else:
            found.append((Factor(name, length),))
    return tuple(found)


def read(given: TensorSpec, axes: Axes | None) -> TensorSpec:
    """A tensor with what its axes are made of; if they say where its tokens stand, with that grid, or with none.

    given  with a layout of its own where a rule told one
    """
    if axes is None or tuple(math.prod(one.length for one in axis) for axis in axes) != given.shape:
        return replace(given, axes=None)
    layout = " ".join(map(_name, axes))
    if layout == "b c n n" and _are_windows(*axes[2:]):
        layout = WINDOWS
    if layout not in _LAYOUTS or len({one.level for axis in axes if _name(axis) in _PLACES for one in axis}) > 1:
        return replace(given, axes=axes)
    # Of a single window, the places inside the patch `p q` are those of the map.
    if given.layout not in (None, layout) and "q" not in (given.layout or "").split():
        return replace(given, axes=None)
    tokens = axes[layout.split().index("n")] if "n" in layout else ()
    known = bool(tokens) and all(one.name in _PLACES for one in tokens)
    return replace(given, layout=layout, grid=_grid(tokens) if known else given.grid, axes=axes)


def _name(axis: Sequence[Factor]) -> str:
    names = {one.name for one in axis}
    if "b" in names or "c" in names:
        # Windows in the batch, or the positions of a patch among its channels.
        return "?" if {"b", "c"} <= names else "b" if "b" in names else "c"
    return axis[0].name if len(axis) == 1 else "n" if names and names <= {*_PLACES, "n"} else "?"


def _grid(tokens: Sequence[Factor]) -> TokenGrid | None:
    """Tokens row by row: rows, then columns, of one map, each at equal steps."""
    if [one.name for one in tokens] != ["h", "w"] or tokens[0].level != tokens[1].level:
        return None
    return TokenGrid(tokens[0].length, tokens[1].length)


def _are_windows(first: Sequence[Factor], second: Sequence[Factor]) -> bool:
    """Whether two axes are the windows of one map and the tokens of each, both row by row: as in MobileViTv2, not as in
    the scores of an attention."""
    if _grid(first) is None or _grid(second) is None or first[0].level != second[0].level:
        return False
    pairs = list(zip(first, second, strict=True))
    return any(all(one.step * one.length == other.step for one, other in some) for some in (pairs, _swapped(pairs)))


def _swapped(pairs: Sequence[tuple[Factor, Factor]]) -> list[tuple[Factor, Factor]]:
    return [(other, one) for one, other in pairs]


def reshaped(axes: Axes, shape: Sequence[int]) -> Axes | None:
    """The factors, in their order, as axes of other lengths; None if an axis would hold a part of a factor."""
    if 0 in shape:
        return None
    left, found = [one for axis in axes for one in axis], list[tuple[Factor, ...]]()
    for number, length in enumerate(shape):
        axis = list[Factor]()
        while left and (length > 1 or (left[0].length == 1 and not axis)):
            first = left.pop(0)
            if first.length > length:
                if first.length % length:
                    return None
                inner = first.length // length
                left.insert(0, first._replace(length=inner))
                first = first._replace(length=length, step=first.step * inner)
            elif length % first.length:
                return None
            axis.append(first)
            length //= first.length
        if number == len(shape) - 1:
            axis += left
        found.append(_joined(axis))
    return tuple(found)


def _joined(axis: Sequence[Factor]) -> tuple[Factor, ...]:
    """Neighbours that are one run of positions as one factor."""
    found: list[Factor] = []
    for one in axis:
        last = found[-1] if found else None
        if last and (last.name, last.level) == (one.name, one.level) and last.step == one.step * one.length:
            found[-1] = one._replace(length=last.length * one.length)
        else:
            found.append(one)
    return tuple(found)


def permuted(axes: Axes, order: Sequence[int]) -> Axes | None:
    """The axes in another order."""
    return tuple(axes[one] for one in order) if len(order) == len(axes) else None


def mixed(axes: Axes, shape: Sequence[int], dim: int = -1) -> Axes | None:
    """The axes of which one becomes new channels, or new tokens behind channels `b c n`: a linear layer, say."""
    if len(axes) != len(shape):
        return None
    found = list(axes)
    tokens = dim == -1 and [_name(one) for one in axes] == ["b", "c", "n"]
    found[dim] = (Factor("n" if tokens else "c", shape[dim]),)
    return tuple(found)


def convolved(axes: Axes, given: TensorSpec) -> Axes | None:
    """Windows in the batch stay there, and what a convolution makes of each is a map of its own."""
    levels = [one.level for one in axes[0] if one.name in _PLACES]
    if not levels or given.layout != "b c h w":
        return None
    sizes = zip(("c", *_PLACES), given.shape[1:], strict=True)
    return (axes[0], *((Factor(name, size, max(levels) + 1),) for name, size in sizes))


def unfolded(
    first: TensorSpec, shape: Sequence[int], kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Axes | None:
    """What `unfold` makes of a map: its windows as tokens, what is inside them as channels."""
    if first.layout != "b c h w" or len(shape) != 3:
        return None
    batch, channels, *_ = axes_of(first) or ()
    sizes = map(_pair, (kernel_size, stride, dilation, padding))
    inside, tokens = list(channels), list[Factor]()
    for name, length, size, step, spread, pad in zip(_PLACES, first.shape[2:], *sizes, strict=True):
        inside.append(Factor(name, size, step=spread))
        tokens.append(Factor(name, (length + 2 * pad - spread * (size - 1) - 1) // step + 1, step=step))
    return batch, tuple(inside), tuple(tokens)


def windowed(axes: Axes, dim: int, size: int, step: int) -> Axes | None:
    """What `Tensor.unfold` makes of an axis: as many windows as fit, and a last axis for what is inside them."""
    if len(axes[dim]) != 1 or axes[dim][0].name == "n":
        return None
    (whole,) = axes[dim]
    windows = whole._replace(length=(whole.length - size) // step + 1, step=whole.step * step)
    return (*axes[:dim], (windows,), *axes[dim + 1 :], (whole._replace(length=size),))


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def indexed(axes: Axes, shape: Sequence[int], parts: Sequence[Any]) -> Axes | None:
    """Axes of which a number or a slice is taken, in the order of the axes; of a slice every few of one factor."""
    found: list[tuple[Factor, ...]] = []
    for axis, length, part in zip(axes, shape, parts, strict=True):
        if isinstance(part, int):
            continue
        taken = range(length)[part]
        if len(taken) == length and taken.step == 1:
            found.append(axis)
        elif len(axis) == 1 and axis[0].name != "n" and taken.step > 0:
            found.append((axis[0]._replace(length=len(taken), step=axis[0].step * taken.step),))
        else:
            return None
    return tuple(found)


def product(first: TensorSpec, second: TensorSpec) -> Axes | None:
    """Of a product of matrices: the rows of the first, the columns of the second."""
    one, other = axes_of(first), axes_of(second)
    if one is None or other is None or len(one) != len(other):
        return None
    return (*one[:-1], other[-1])
