"""Follows the axes of recorded tensors through modules and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from composer.dag.tensor import Axes, TensorSpec
from composer.hosts.recording.axes import (
    WINDOWS,
    axes_of,
    convolved,
    indexed,
    mixed,
    permuted,
    product,
    read,
    reshaped,
    unfolded,
    windowed,
)
from composer.torch_private import AnyBatchNorm

_CONVOLVING: Any = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(nn.PixelShuffle, nn.PixelUnshuffle, nn.Upsample, nn.ZeroPad2d),
)
_CONVOLVING_FUNCTIONS = frozenset(
    {"conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"}
)
# Functions whose result holds each number of the input, or one made of it alone, in its place.
_IN_PLACE = frozenset(
    {"add", "sub", "mul", "div", "neg", "pow", "clamp", "where", "masked_fill", "lerp", "addcmul"}
    | {"relu", "gelu", "silu", "sigmoid", "tanh", "hardtanh", "hardswish", "leaky_relu", "elu", "exp", "softmax"}
    | {"contiguous", "clone", "detach", "to", "float", "half", "type_as", "type", "dropout", "layer_norm", "batch_norm"}
    | {"normalize", "rms_norm", "roll"}
)
_RESHAPING = frozenset({"reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze", "reshape_as", "view_as"})


def followed_through(module: nn.Module, inputs: Sequence[TensorSpec], given: TensorSpec) -> TensorSpec:
    """What a module without parts gives, with what its axes are made of.

    given  as the rules of layouts tell it
    """
    first = inputs[0] if inputs else given
    axes = axes_of(first)
    if axes is None:
        return given
    if isinstance(module, nn.Unfold):
        sizes = (module.kernel_size, module.dilation, module.padding, module.stride)
        return read(given, unfolded(first, given.shape, *sizes))
    if isinstance(module, _CONVOLVING) and given.layout == WINDOWS:
        # A layer for each token, or one that sees several of them.
        ones = {1, (1,), (1, 1)}
        return read(given, mixed(axes, given.shape, 1) if getattr(module, "kernel_size", 0) in ones else None)
    if isinstance(module, _CONVOLVING):
        return read(given, convolved(axes, given))
    if isinstance(module, nn.Linear):
        return read(given, mixed(axes, given.shape))
    told = given.layout is not None and given.layout == first.layout
    if len(inputs) == 1 and first.shape == given.shape and (told or _keeps_places(module)):
        return read(given, axes)
    return given


def _keeps_places(module: nn.Module) -> bool:
    """Whether each number of the result is made of the one in its place: of norms, with others of its channel."""
    if isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.Dropout, nn.Identity, AnyBatchNorm)):
        return True
    return type(module).__module__ == "torch.nn.modules.activation" and next(module.parameters(), None) is None


def followed(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], inputs: Sequence[TensorSpec], given: TensorSpec
) -> TensorSpec:
    """What a function gives, with what its axes are made of.

    args   of the call, behind the first
    given  as the rules of layouts tell it
    """
    first = inputs[0] if inputs else given
    if name in ("matmul", "bmm") and len(inputs) == 2:
        return read(given, product(first, inputs[1]))
    if name == "scaled_dot_product_attention" and len(inputs) >= 3:
        return read(given, product(first, inputs[2]))
    if name in _IN_PLACE:
        alike = next((one for one in inputs if one.shape == given.shape and axes_of(one) is not None), None)
        return given if alike is None else read(given, axes_of(alike))
    axes = axes_of(first)
    if axes is None:
        return given
    if name in _RESHAPING:
        return read(given, reshaped(axes, given.shape))
    if name in _CONVOLVING_FUNCTIONS:
        return read(given, convolved(axes, given))
    rule = _RULES.get(name)
    return given if rule is None else read(given, rule(axes, first, given, args, kwargs))


def _permuted(axes: Axes, first: TensorSpec, given: TensorSpec, args: Sequence[Any], kwargs: Any) -> Axes | None:
    order = kwargs.get("dims", args[0] if args and not isinstance(args[0], int) else args)
    return permuted(axes, [one % len(axes) for one in order])


def _transposed(axes: Axes, first: TensorSpec, given: TensorSpec, args: Sequence[Any], kwargs: Any) -> Axes | None:
    places = [*args, *(kwargs[name] for name in ("dim0", "dim1", "axis0", "axis1") if name in kwargs)]
    if len(places) != 2:
        return None
    order = list(range(len(axes)))
    one, other = (place % len(axes) for place in places)
    order[one], order[other] = other, one
    return permuted(axes, order)


def _mixed(axes: Axes, first: TensorSpec, given: TensorSpec, args: Sequence[Any], kwargs: Any) -> Axes | None:
    return mixed(axes, given.shape)


def _split(axes: Axes, first: TensorSpec, given: TensorSpec, args: Sequence[Any], kwargs: Any) -> Axes | None:
    """A part of the channels."""
    if len(axes) != len(given.shape):
        return None
    other = [number for number, pair in enumerate(zip(first.shape, given.shape, strict=True)) if pair[0] != pair[1]]
    if len(other) != 1:
        return None if other else axes
    return mixed(axes, given.shape, other[0]) if {one.name for one in axes[other[0]]} == {"c"} else None


def _unbound(axes: Axes, first: TensorSpec, given: TensorSpec, args: Sequence[Any], kwargs: Any) -> Axes | None:
    gone = kwargs.get("dim", args[0] if args else 0) % len(axes)
    return axes[:gone] + axes[gone + 1 :]


def _reduced(axes: Axes, first: TensorSpec, given: TensorSpec, args: Sequence[Any], kwargs: Any) -> Axes | None:
    """One result for the positions along an axis, such as the largest of each window."""
    dims = kwargs.get("dim", args[0] if args else None)
    if not isinstance(dims, int | tuple | list):
        # Of all numbers; or, of two tensors, the larger of each pair.
        return None
    gone = {one % len(axes) for one in ([dims] if isinstance(dims, int) else dims)}
    if len(given.shape) == len(axes):
        return tuple(() if number in gone else axis for number, axis in enumerate(axes))
    return tuple(axis for number, axis in enumerate(axes) if number not in gone)


def _indexed(axes: Axes, first: TensorSpec, given: TensorSpec, args: Sequence[Any], kwargs: Any) -> Axes | None:
    index = args[0] if args else None
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(one is Ellipsis or isinstance(one, int) or _is_plain(one) for one in parts):
        return None
    dots = next((number for number, one in enumerate(parts) if one is Ellipsis), len(parts))
    parts[dots : dots + 1] = [slice(None)] * (len(axes) - len(parts) + (dots < len(parts)))
    return indexed(axes, first.shape, parts) if len(parts) == len(axes) else None


def _is_plain(part: Any) -> bool:
    """Whether it is a slice between numbers, not between values of tensors."""
    ends = (part.start, part.stop, part.step) if isinstance(part, slice) else (part,)
    return isinstance(part, slice) and all(one is None or isinstance(one, int) for one in ends)


def _unfolded(axes: Axes, first: TensorSpec, given: TensorSpec, args: Sequence[Any], kwargs: Any) -> Axes | None:
    """Two functions have the name: one of images, and one of an axis."""
    if len(given.shape) == len(axes) + 1:
        named = [kwargs[name] for name in ("dimension", "size", "step") if name in kwargs]
        dim, size, step = [*args, *named]
        return windowed(axes, dim % len(axes), size, step)
    return unfolded(first, given.shape, *args, **{name: one for name, one in kwargs.items() if name != "input"})


_RULES: Mapping[str, Callable[..., Axes | None]] = {
    "permute": _permuted,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transposed),
    "linear": _mixed,
    **dict.fromkeys(("chunk", "split", "split_with_sizes", "tensor_split"), _split),
    "unbind": _unbound,
    "unfold": _unfolded,
    "getitem": _indexed,
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min"), _reduced),
}
