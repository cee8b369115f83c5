"""Fast answers for operations whose result on the meta device is simple, but takes PyTorch long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

# Computes the result of an operation; None leaves it to PyTorch, so that errors are in PyTorch's words.
Rule = Callable[..., Tensor | None]


class Shortcuts(TorchFunctionMode):
    """Within this mode, these operations have fast answers: activations, norms, sums, products, means, random numbers.

    Their meta kernels are Python code that takes milliseconds: most of the time of composing a graph. The first call in
    a process also imports all of torch._dynamo, which takes seconds.
    """

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        rule = _RULES.get(func)
        if rule is not None and args and isinstance(args[0], Tensor):
            first = args[0]
            if first.is_meta and first.dtype.is_floating_point and (found := rule(*args, **given)) is not None:
                return found
        return func(*args, **given)


def _same(x: Tensor, *others: Any, **options: Any) -> Tensor:
    return x


def _elementwise(x: Tensor, *others: Any, **options: Any) -> Tensor | None:
    """The result of an operation with numbers, or tensors of the same dtype, that broadcast to the first tensor."""
    covered = (
        one.is_meta and one.dtype == x.dtype and _broadcasts(one.shape, x.shape)
        if isinstance(one, Tensor)
        else isinstance(one, int | float)
        for one in others
    )
    return x if not options and all(covered) else None


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


def _pooled(x: Tensor, output_size: Any) -> Tensor | None:
    return x.new_empty((*x.shape[:2], 1, 1)) if output_size == 1 and x.ndim == 4 and x.numel() > 0 else None


_RULES: Mapping[Any, Rule] = {
    **dict.fromkeys(
        (
            *(F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.silu, F.gelu, F.hardswish, F.hardsigmoid),
            *(torch.relu, torch.sigmoid, Tensor.sigmoid, Tensor.normal_, Tensor.uniform_),
        ),
        _same,
    ),
    **dict.fromkeys(
        (
            *(torch.add, torch.sub, torch.mul, Tensor.add, Tensor.sub, Tensor.mul),
            *(Tensor.__add__, Tensor.__sub__, Tensor.__mul__),
        ),
        _elementwise,
    ),
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
    F.linear: _linear,
    F.adaptive_avg_pool2d: _pooled,
    **dict.fromkeys((torch.mean, Tensor.mean), _mean),
}
