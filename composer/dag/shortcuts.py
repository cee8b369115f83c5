"""Fast answers for operations whose result on the meta device is simple, but takes PyTorch long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Computes the result of an operation; None leaves it to PyTorch, so that errors are in PyTorch's words.
Rule = Callable[..., Tensor | None]


class Shortcuts(TorchFunctionMode):
    """Within this mode, these operations have fast answers: activations, norms, sums, products, means, maxima,
    convolutions, concatenations, random numbers.

    Their meta kernels are Python code that takes milliseconds: most of the time of composing a graph. The first call in
    a process also imports all of torch._dynamo, which takes seconds.
    """

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        rule = _RULES.get(func)
        if rule is not None and (first := _first(args, given)) is not None:
            known = first.dtype.is_floating_point or (rule is _elementwise and first.dtype == torch.int64)
            if first.is_meta and known and (found := rule(*args, **given)) is not None:
                return found
        return func(*args, **given)


def _first(args: Sequence[Any], given: Mapping[str, Any]) -> Tensor | None:
    """The tensor that decides: the first argument, the first of its list, or what torch.nn.init calls `tensor`."""
    first = args[0] if args else given.get("tensor")
    if isinstance(first, list | tuple) and first:
        first = first[0]
    return first if isinstance(first, Tensor) else None


def _drawn(tensor: Tensor, *numbers: Any, **options: Any) -> Tensor:
    return tensor


def _same(x: Tensor, *others: Any, **options: Any) -> Tensor:
    return x


def _elementwise(x: Tensor, *others: Any, **options: Any) -> Tensor | None:
    """The result of an operation with a number, or a tensor of the same dtype."""
    if options or len(others) != 1:
        return None
    (other,) = others
    if isinstance(other, Tensor):
        return _broadcast(x, other) if other.is_meta and other.dtype == x.dtype else None
    return x if isinstance(other, int | float if x.dtype.is_floating_point else int) else None


def _divided(x: Tensor, *others: Any, **options: Any) -> Tensor | None:
    return _elementwise(x, *others, **options)


def _broadcast(x: Tensor, other: Tensor) -> Tensor | None:
    if _broadcasts(other.shape, x.shape):
        return x
    try:
        return x.new_empty(torch.broadcast_shapes(x.shape, other.shape))
    except RuntimeError:
        return None


def _broadcasts(shape: Sequence[int], over: Sequence[int]) -> bool:
    """Whether a shape broadcasts to the other shape."""
    aligned = zip(reversed(shape), reversed(over), strict=False)
    return len(shape) <= len(over) and all(length in (1, wanted) for length, wanted in aligned)


def _batch_norm(x: Tensor, *others: Any, **options: Any) -> Tensor | None:
    vectors = (one for one in (*others, *options.values()) if isinstance(one, Tensor))
    fits = x.ndim > 1 and x.numel() > x.shape[1] and all(one.shape == x.shape[1:2] for one in vectors)
    return x if fits else None


def _layer_norm(x: Tensor, shape: Sequence[int], *others: Any, **options: Any) -> Tensor | None:
    vectors = (one for one in (*others, *options.values()) if isinstance(one, Tensor))
    fits = len(shape) > 0 and tuple(x.shape[-len(shape) :]) == tuple(shape)
    return x if fits and all(tuple(one.shape) == tuple(shape) for one in vectors) else None


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    if x.ndim != weight.ndim or x.dtype != weight.dtype or not weight.is_meta:
        return None
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        return None
    if bias is not None and not (bias.is_meta and bias.dtype == x.dtype and bias.shape == weight.shape[:1]):
        return None
    sides = _windows(x, tuple(weight.shape[2:]), stride, padding, dilation)
    return x.new_empty((x.shape[0], weight.shape[0], *sides)) if sides else None


def _windows(x: Tensor, size: Any, stride: Any, padding: Any, dilation: Any) -> list[int] | None:
    """How many windows there are along each axis of positions; None if one of them does not fit."""
    axes = x.ndim - 2
    settings = [
        tuple(one) if isinstance(one, tuple | list) else (one,) * axes for one in (size, stride, padding, dilation)
    ]
    if not x.numel() or any(len(one) != axes or not all(map(_is_length, one)) for one in settings):
        return None
    if 0 in settings[1]:
        return None
    sides = [
        (length + 2 * pad - step * (wide - 1) - 1) // move + 1
        for length, wide, move, pad, step in zip(x.shape[2:], *settings, strict=True)
    ]
    return sides if min(sides) > 0 else None


def _is_length(number: Any) -> bool:
    # PyTorch refuses what is too large for its own arithmetic.
    return isinstance(number, int) and 0 <= number < 2**31


def _max_pooled(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    sides = (
        _windows(x, kernel_size, kernel_size if stride is None else stride, padding, dilation) if x.ndim == 4 else None
    )
    if ceil_mode or return_indices or sides is None or not _pads_less_than_half(kernel_size, padding):
        return None
    return x.new_empty((*x.shape[:2], *sides))


def _avg_pooled(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor | None:
    return None if divisor_override else _max_pooled(x, kernel_size, stride, padding, ceil_mode=ceil_mode)


def _pads_less_than_half(kernel_size: Any, padding: Any) -> bool:
    """Whether each window holds a position of the map, as PyTorch requires of pools."""
    pads, sizes = (one if isinstance(one, tuple | list) else (one, one) for one in (padding, kernel_size))
    return all(0 <= pad <= size // 2 for pad, size in zip(pads, sizes, strict=True))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    fits = x.ndim > 1 and weight.ndim == 2 and x.shape[-1] == weight.shape[1] and x.dtype == weight.dtype
    fits = fits and weight.is_meta and (bias is None or (bias.is_meta and bias.shape == weight.shape[:1]))
    return x.new_empty((*x.shape[:-1], weight.shape[0])) if fits else None


def _mean(x: Tensor, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor | None:
    axes = [dim] if isinstance(dim, int) else dim
    if options or not isinstance(axes, list | tuple) or not all(-x.ndim <= axis < x.ndim for axis in axes):
        return None
    reduced = {axis % x.ndim for axis in axes}
    if len(reduced) != len(axes) or not axes:
        return None
    lengths = [
        1 if axis in reduced else length for axis, length in enumerate(x.shape) if keepdim or axis not in reduced
    ]
    return x.new_empty(lengths)


def _largest(x: Tensor, dim: Any = (), keepdim: bool = False, **options: Any) -> Tensor | None:
    # Of an axis without elements there is no maximum; without axes, PyTorch takes all.
    return _mean(x, dim, keepdim, **options) if x.numel() else None


def _concatenated(tensors: Sequence[Tensor], dim: int = 0, **options: Any) -> Tensor | None:
    first = tensors[0]
    if options or not all(isinstance(one, Tensor) and one.is_meta and one.dtype == first.dtype for one in tensors):
        return None
    if not -first.ndim <= dim < first.ndim:
        return None
    axis = dim % first.ndim
    shapes = [list(one.shape) for one in tensors]
    around = [shape[:axis] + shape[axis + 1 :] for shape in shapes if len(shape) == first.ndim]
    if len(around) != len(shapes) or any(one != around[0] for one in around):
        return None
    return first.new_empty([*around[0][:axis], sum(shape[axis] for shape in shapes), *around[0][axis:]])


def _attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **options: Any,
) -> Tensor | None:
    alike = all(one.is_meta and one.dtype == query.dtype and one.ndim == query.ndim > 2 for one in (key, value))
    if options or not alike or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        return None
    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2] or not query.numel() or not value.numel():
        return None
    scores = (*query.shape[:-1], key.shape[-2])
    if attn_mask is not None and (is_causal or attn_mask.dtype not in (torch.bool, query.dtype)):
        return None
    if attn_mask is not None and not (attn_mask.is_meta and _broadcasts(attn_mask.shape, scores)):
        return None
    return query.new_empty((*query.shape[:-1], value.shape[-1]))


def _stacked(tensors: Sequence[Tensor], dim: int = 0, **options: Any) -> Tensor | None:
    first = tensors[0]
    alike = all(one.is_meta and one.dtype == first.dtype and one.shape == first.shape for one in tensors)
    if options or not alike or not -first.ndim - 1 <= dim <= first.ndim:
        return None
    axis = dim % (first.ndim + 1)
    return first.new_empty((*first.shape[:axis], len(tensors), *first.shape[axis:]))


def _softmax(x: Tensor, dim: Any = None, **options: Any) -> Tensor | None:
    return x if not options and isinstance(dim, int) and -x.ndim <= dim < x.ndim else None


def _pooled(x: Tensor, output_size: Any) -> Tensor | None:
    return x.new_empty((*x.shape[:2], 1, 1)) if output_size == 1 and x.ndim == 4 and x.numel() > 0 else None


_RULES: Mapping[Any, Rule] = {
    **dict.fromkeys(
        (
            *(F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.silu, F.gelu, F.hardswish, F.hardsigmoid),
            *(torch.relu, torch.sigmoid, torch.tanh, torch.sqrt, torch.square, torch.exp),
            *(Tensor.relu, Tensor.sigmoid, Tensor.tanh, Tensor.sqrt, Tensor.square, Tensor.exp),
            *(Tensor.normal_, Tensor.uniform_, Tensor.roll, torch.roll),
        ),
        _same,
    ),
    **dict.fromkeys(
        (
            *(torch.add, torch.sub, torch.mul, Tensor.add, Tensor.sub, Tensor.mul),
            *(Tensor.__add__, Tensor.__sub__, Tensor.__mul__),
            *(Tensor.__radd__, Tensor.__rsub__, Tensor.__rmul__),
        ),
        _elementwise,
    ),
    # Apart from sums and products, because a quotient of whole numbers is none.
    **dict.fromkeys((torch.div, Tensor.div, Tensor.__truediv__, Tensor.__rtruediv__), _divided),
    **dict.fromkeys((torch.softmax, Tensor.softmax), _softmax),
    torch.stack: _stacked,
    **dict.fromkeys((nn.init.normal_, nn.init.uniform_, nn.init.constant_, nn.init.kaiming_uniform_), _drawn),
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _convolved),
    **dict.fromkeys((torch.max_pool2d, F.max_pool2d), _max_pooled),
    F.avg_pool2d: _avg_pooled,
    F.linear: _linear,
    F.scaled_dot_product_attention: _attended,
    F.adaptive_avg_pool2d: _pooled,
    **dict.fromkeys((torch.mean, Tensor.mean, torch.sum, Tensor.sum), _mean),
    **dict.fromkeys((torch.amax, Tensor.amax), _largest),
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), _concatenated),
}
