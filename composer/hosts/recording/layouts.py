"""What the axes of a recorded tensor mean, and where its tokens stand: told from step to step, never guessed.

Convolutions, norms, linear layers and functions that move axes say it. What cannot be told stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from composer.dag.tensor import BATCH, TensorSpec
from composer.hosts.recording.axes import WINDOWS
from composer.hosts.recording.trails import followed, followed_through
from composer.registry import TokenGrid
from composer.torch_private import AnyBatchNorm

_MAPS = {2: "b c", 3: "b c l", 4: "b c h w", 5: "b c t h w"}
_LAST = {2: "b c", 3: "b n c", 4: "b h w c"}
# Layers whose channels are the second axis.
_FIRST: Any = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(nn.GroupNorm, nn.PixelShuffle, nn.PixelUnshuffle, nn.Upsample, nn.ZeroPad2d, AnyBatchNorm),
)
_POOLS = ("conv1d", "conv2d", "conv3d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d")
_FIRST_FUNCTIONS = frozenset({*_POOLS, "adaptive_max_pool2d", "interpolate", "batch_norm", "group_norm"})
_KEEP_AXES = frozenset({"pad", "roll", "interpolate", "flip"})
# Functions whose result may have the shape of the input, and other axes, or the same ones in another order.
_MOVING = frozenset(
    {
        "matmul",
        "bmm",
        "einsum",
        "scaled_dot_product_attention",
        "baddbmm",
        "T",
        "mT",
        "t",
        "movedim",
        "moveaxis",
        "rot90",
    }
    | {"gather", "take_along_dim", "index_select", "sort"}
)
_REDUCING = frozenset({"mean", "sum", "amax", "amin", "max", "min", "norm", "var", "std", "argmax"})


def of_input(shape: Sequence[int]) -> TensorSpec:
    """An input of the whole network: images b c h w, videos b c t h w; others have no known axes."""
    layout = _MAPS.get(len(shape)) if len(shape) in (4, 5) else None
    return TensorSpec(tuple(shape), layout)


def has_rule(module: nn.Module) -> bool:
    """Whether `of_module` knows the class of a module, or torch's documentation does."""
    return isinstance(module, (nn.Linear, nn.LayerNorm, *_FIRST)) or type(module).__module__.startswith("torch.")


def of_module(module: nn.Module, inputs: Sequence[TensorSpec], shape: Sequence[int]) -> TensorSpec:
    """What a module without parts gives."""
    return followed_through(module, inputs, _of_module(module, inputs, shape))


def of_function(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], inputs: Sequence[TensorSpec], shape: Sequence[int]
) -> TensorSpec:
    """What a function gives; `args` and `kwargs` are those of the call, with something else where tensors stand."""
    return followed(name, args[1:], kwargs, inputs, _of_function(name, args, kwargs, inputs, shape))


def _of_module(module: nn.Module, inputs: Sequence[TensorSpec], shape: Sequence[int]) -> TensorSpec:
    given = TensorSpec(tuple(shape))
    first = inputs[0] if inputs else given
    if isinstance(module, nn.LayerNorm) and type(module).forward is not nn.LayerNorm.forward:
        # A norm of maps that only calls itself a LayerNorm, such as timm's LayerNorm2d.
        return _kept(given, first)
    if isinstance(module, nn.Linear | nn.LayerNorm):
        kept = len(first.shape) == len(shape) and _keeps_layout(module, first)
        layout = first.layout if kept else _LAST.get(len(shape))
        return _with_grid(replace(given, layout=layout), inputs)
    if isinstance(module, _FIRST):
        layout = first.layout if first.layout in _MAPS.values() else _MAPS.get(len(shape))
        if isinstance(module, nn.GroupNorm) and len(shape) == 3 and first.layout == "b c n":
            layout = first.layout
        if first.layout == WINDOWS and len(shape) == 4:
            layout = WINDOWS if first.shape[2:] == given.shape[2:] else None
        return _with_grid(
            replace(given, layout=layout if layout and len(layout.split()) == len(shape) else None), inputs
        )
    return _kept(given, first)


def _of_function(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], inputs: Sequence[TensorSpec], shape: Sequence[int]
) -> TensorSpec:
    given = TensorSpec(tuple(shape))
    first = inputs[0] if inputs else given
    axes = (first.layout or "").split()
    rule = _RULES.get(name)
    if rule is not None:
        return rule(given, first, axes, args[1:], kwargs, inputs) if axes or name == "concat" else given
    if name in _FIRST_FUNCTIONS:
        return replace(given, layout=_MAPS.get(len(shape)))
    if name in _KEEP_AXES:
        return replace(given, layout=first.layout) if len(first.shape) == len(shape) else given
    if name in _REDUCING:
        return _reduced(given, axes, args[1:], kwargs)
    if name in _MOVING:
        return given
    like = next((one for one in inputs if one.shape == given.shape and one.layout), None)
    return given if like is None else replace(given, layout=like.layout, grid=like.grid)


def _kept(given: TensorSpec, first: TensorSpec) -> TensorSpec:
    """Axes as those that arrived, if there are as many; a vector for each example, if two are left."""
    if len(given.shape) == len(first.shape) and first.layout is not None:
        grid = first.grid if given.axis("n") == first.axis("n") or _same_length(given, first) else None
        return replace(given, layout=first.layout, grid=grid)
    if len(given.shape) == 2 and given.shape[0] == BATCH and first.layout is not None:
        return replace(given, layout="b c")
    return given


def _same_length(given: TensorSpec, first: TensorSpec) -> bool:
    axes = (first.layout or "").split()
    return "n" in axes and given.shape[axes.index("n")] == first.shape[axes.index("n")]


def _keeps_layout(module: nn.Linear | nn.LayerNorm, taken: TensorSpec) -> bool:
    """Whether the last axis stays what it was: channels, or tokens that an MLP of tokens mixes; also norms of maps."""
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
        return taken.layout is not None
    return taken.layout == "b c n" or (taken.layout or "").split()[-1:] == ["c"]


def _with_grid(given: TensorSpec, inputs: Sequence[TensorSpec]) -> TensorSpec:
    """With the grid of an input of as many tokens."""
    tokens = given.axis("n")
    grid = next((one.grid for one in inputs if one.grid and one.axis("n") == tokens), None) if tokens else None
    return replace(given, grid=grid)


def _numbers(args: Sequence[Any], kwargs: Mapping[str, Any], *names: str) -> list[int] | None:
    """The integers of a call: given one by one, as one tuple, or by name."""
    found = [kwargs[name] for name in names if name in kwargs] or list(args)
    if len(found) == 1 and isinstance(found[0], list | tuple):
        found = list(found[0])
    return [int(one) for one in found] if found and all(isinstance(one, int) for one in found) else None


def _permuted(given: TensorSpec, first: TensorSpec, axes: list[str], args: Any, kwargs: Any, inputs: Any) -> TensorSpec:
    order = _numbers(args, kwargs, "dims")
    if order is None or len(order) != len(axes):
        return given
    return _moved(given, first, [axes[one] for one in order])


def _transposed(
    given: TensorSpec, first: TensorSpec, axes: list[str], args: Any, kwargs: Any, inputs: Any
) -> TensorSpec:
    order = _numbers(args, kwargs, "dim0", "dim1")
    if order is None or len(order) != 2:
        return given
    moved = list(axes)
    moved[order[0]], moved[order[1]] = axes[order[1]], axes[order[0]]
    return _moved(given, first, moved)


def _moved(given: TensorSpec, first: TensorSpec, axes: list[str]) -> TensorSpec:
    known = first.layout is not None and "?" not in axes
    return replace(given, layout=" ".join(axes), grid=first.grid) if known else given


def _flattened(
    given: TensorSpec, first: TensorSpec, axes: list[str], args: Any, kwargs: Any, inputs: Any
) -> TensorSpec:
    bounds = {**dict(zip(("start_dim", "end_dim"), args, strict=False)), **kwargs}
    start, end = (int(bounds.get(name, default)) % len(axes) for name, default in (("start_dim", 0), ("end_dim", -1)))
    merged = axes[start : end + 1]
    return _merged(given, first, axes[:start], merged, axes[end + 1 :])


def _merged(given: TensorSpec, first: TensorSpec, before: list[str], merged: list[str], after: list[str]) -> TensorSpec:
    if len(merged) == 1:
        return replace(given, layout=first.layout, grid=first.grid)
    if merged == ["h", "w"]:
        grid = TokenGrid(first.axis("h") or 0, first.axis("w") or 0)
        return replace(given, layout=" ".join([*before, "n", *after]), grid=grid)
    if "b" not in merged and "c" in merged and before == ["b"] and not after:
        return replace(given, layout="b c")
    return given


def _reshaped(given: TensorSpec, first: TensorSpec, axes: list[str], args: Any, kwargs: Any, inputs: Any) -> TensorSpec:
    """Neighbouring axes merged into one, or tokens of a known grid as a map; anything else is unknown."""
    old, new = first.shape, given.shape
    if old == new:
        return replace(given, layout=first.layout, grid=first.grid)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    middle, fresh = axes[start : len(old) - end], new[start : len(new) - end]
    before, after = axes[:start], axes[len(old) - end :]
    if len(fresh) == 1 and len(middle) > 1:
        return _merged(given, first, before, middle, after)
    if not fresh and middle and all(old[start + one] == 1 for one in range(len(middle))):
        return replace(given, layout=" ".join(before + after), grid=None)
    is_map = first.grid is not None and first.grid.prefix == 0 and tuple(fresh) == (first.grid.height, first.grid.width)
    if middle == ["n"] and is_map:
        return replace(given, layout=" ".join([*before, "h", "w", *after]))
    return _patches(given, first, axes)


# The axes within a patch, where height and width are split into patches.
_WITHIN = {"h": "p", "w": "q"}


def _patches(given: TensorSpec, first: TensorSpec, axes: list[str]) -> TensorSpec:
    """Height and width split into patches, or patches as tokens: `b h w c p q` becomes `b n c`."""
    layout, grid, at = [], None, 0
    for old, new in _groups(first.shape, given.shape):
        names, at = axes[at : at + len(old)], at + len(old)
        if len(names) == len(new) == 1:
            layout += names
        elif len(names) == 1 and names[0] in _WITHIN and len(new) == 2:
            layout += [names[0], _WITHIN[names[0]]]
        elif names == ["h", "w"] and len(new) == 1:
            layout, grid = [*layout, "n"], TokenGrid(*old)
        elif sorted(names) == ["c", "p", "q"] and len(new) == 1:
            layout.append("c")
        else:
            return given
    known = len(layout) == len(set(layout)) == len(given.shape)
    return replace(given, layout=" ".join(layout), grid=grid) if known else given


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[Sequence[int], Sequence[int]]]:
    """The shortest runs of axes with as many numbers: (8, 4, 6) and (2, 4, 24) are (8) and (2, 4), (4, 6) and (24)."""
    found, start, begin, end, stop = [], 0, 0, 0, 0
    while end < len(old) and stop < len(new):
        end, stop = end + 1, stop + 1
        while (one := math.prod(old[start:end])) != (other := math.prod(new[begin:stop])):
            if one < other and end < len(old):
                end += 1
            elif one > other and stop < len(new):
                stop += 1
            else:
                return []
        found.append((old[start:end], new[begin:stop]))
        start, begin = end, stop
    return found


def _concatenated(
    given: TensorSpec, first: TensorSpec, axes: list[str], args: Any, kwargs: Any, inputs: Sequence[TensorSpec]
) -> TensorSpec:
    known = next((one for one in inputs if one.layout and len(one.shape) == len(given.shape)), None)
    if known is None:
        return given
    axes = (known.layout or "").split()
    dim = kwargs.get("dim", args[0] if args and isinstance(args[0], int) else 0) % len(axes)
    if axes[dim] != "n":
        return replace(given, layout=known.layout, grid=known.grid if axes[dim] == "c" else None)
    before, grid = 0, None
    for number, one in enumerate(inputs):
        if one.grid is not None and one.grid.is_map:
            rest = sum(other.shape[dim] for other in inputs[number + 1 :])
            grid = None if rest else TokenGrid(one.grid.height, one.grid.width, one.grid.prefix + before)
            break
        before += one.shape[dim]
    return replace(given, layout=known.layout, grid=grid)


def _indexed(given: TensorSpec, first: TensorSpec, axes: list[str], args: Any, kwargs: Any, inputs: Any) -> TensorSpec:
    index = args[0] if args else None
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [one for one in parts if one is Ellipsis]:
        at = next(number for number, one in enumerate(parts) if one is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(axes) - len(parts) + 1)
    parts += [slice(None)] * (len(axes) - len(parts))
    if len(parts) != len(axes) or not all(isinstance(one, int | slice) for one in parts):
        return given
    left, grid = [], first.grid
    for axis, one in zip(axes, parts, strict=True):
        if isinstance(one, slice):
            left.append(axis)
        if axis == "n":
            grid = _without_first(grid, one)
    layout = " ".join(left)
    return replace(given, layout=layout if "c" in left and "b" in left else None, grid=grid)


def _without_first(grid: TokenGrid | None, part: Any) -> TokenGrid | None:
    """The grid of tokens of which a slice is taken: known if only prefix tokens are left out."""
    if part == slice(None) or grid is None:
        return grid
    if not isinstance(part, slice) or not isinstance(part.start, int) or (part.stop, part.step) != (None, None):
        return None
    return grid._replace(prefix=grid.prefix - part.start) if 0 <= part.start <= grid.prefix else None


def _split(given: TensorSpec, first: TensorSpec, axes: list[str], args: Any, kwargs: Any, inputs: Any) -> TensorSpec:
    if len(given.shape) != len(axes):
        return given
    tokens = "n" in axes and given.shape[axes.index("n")] != first.shape[axes.index("n")]
    return replace(given, layout=first.layout, grid=None if tokens else first.grid)


def _reduced(given: TensorSpec, axes: list[str], args: Any, kwargs: Any) -> TensorSpec:
    if not axes:
        return given
    if len(given.shape) == len(axes):
        return replace(given, layout=" ".join(axes))
    dims = _numbers([one for one in args if not isinstance(one, bool)][:1], kwargs, "dim")
    if dims is None:
        return given
    gone = {one % len(axes) for one in dims}
    left = [axis for number, axis in enumerate(axes) if number not in gone]
    return replace(given, layout=" ".join(left)) if left[:1] == ["b"] and "c" in left else given


def _squeezed(given: TensorSpec, first: TensorSpec, axes: list[str], args: Any, kwargs: Any, inputs: Any) -> TensorSpec:
    dims = _numbers(args, kwargs, "dim")
    gone = {one % len(axes) for one in dims} if dims else {i for i, n in enumerate(first.shape) if n == 1}
    left = [axis for number, axis in enumerate(axes) if number not in gone or first.shape[number] != 1]
    return replace(given, layout=" ".join(left)) if len(left) == len(given.shape) and "c" in left else given


_RULES: Mapping[str, Callable[..., TensorSpec]] = {
    "permute": _permuted,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transposed),
    "flatten": _flattened,
    **dict.fromkeys(("reshape", "view", "unflatten"), _reshaped),
    "concat": _concatenated,
    "getitem": _indexed,
    **dict.fromkeys(("chunk", "split", "split_with_sizes", "tensor_split"), _split),
    "squeeze": _squeezed,
}


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape as plain numbers."""
    return tuple(int(length) for length in tensor.shape)
