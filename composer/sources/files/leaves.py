"""Steps that are layers of torch: a convolution with the weights that the network holds, say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from composer.sources.files.graph import Step

# Makes a layer of the arguments behind the first, tensors given by their shapes; None if no layer does this.
_Maker = Callable[[Sequence[Any]], nn.Module | None]


def layer_of_step(step: Step, args: Sequence[Any]) -> nn.Module | None:
    """The layer of torch that a step is, its parameters still its own; None if torch has none that is the same.

    args  those of the call behind the first, with the shape where a tensor stands
    """
    maker = _MAKERS.get(step.op)
    if step.op == "gelu" and set(step.kwargs) == {"approximate"}:
        return nn.GELU(step.kwargs["approximate"])
    if maker is None or step.kwargs:
        return None
    try:
        return maker(args)
    except (TypeError, ValueError, IndexError, RuntimeError):
        return None


def with_tensors(layer: nn.Module, tensors: Sequence[Tensor | None]) -> None:
    """Give a layer the network's own tensors, in the order in which torch's functions take them."""
    for name, tensor in zip(("weight", "bias", "running_mean", "running_var"), tensors, strict=False):
        if tensor is None or not hasattr(layer, name):
            continue
        delattr(layer, name)
        if isinstance(tensor, nn.Parameter):
            layer.register_parameter(name, tensor)
        else:
            layer.register_buffer(name, tensor)


def _get(args: Sequence[Any], number: int, default: Any) -> Any:
    found = args[number] if len(args) > number else None
    return default if found is None else found


def _pair(value: Any, axes: int) -> tuple[int, ...]:
    found = [value] if isinstance(value, int) else list(value)
    return tuple(found * axes if len(found) == 1 else found)


def _conv(axes: int) -> _Maker:
    made: Any = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]

    def make(args: Sequence[Any]) -> nn.Module | None:
        weight, bias, groups = args[0], _get(args, 1, None), _get(args, 5, 1)
        padding = _get(args, 3, 0)
        padding = padding if isinstance(padding, str) else _pair(padding, axes)
        layer: nn.Module = made(
            weight[1] * groups,
            weight[0],
            tuple(weight[2:]),
            stride=_pair(_get(args, 2, 1), axes),
            padding=padding,
            dilation=_pair(_get(args, 4, 1), axes),
            groups=groups,
            bias=bias is not None,
        )
        return layer

    return make


def _linear(args: Sequence[Any]) -> nn.Module | None:
    weight = args[0]
    return nn.Linear(weight[1], weight[0], bias=_get(args, 1, None) is not None) if len(weight) == 2 else None


def _batch_norm(args: Sequence[Any]) -> nn.Module | None:
    weight, _, mean, _, training, momentum, eps = args[:7]
    if mean is None or training:
        return None
    return nn.BatchNorm2d(mean[0], eps=eps, momentum=momentum, affine=weight is not None)


def _layer_norm(args: Sequence[Any]) -> nn.Module:
    weight, bias = _get(args, 1, None), _get(args, 2, None)
    affine = weight is not None
    return nn.LayerNorm(tuple(args[0]), eps=_get(args, 3, 1e-5), elementwise_affine=affine, bias=bias is not None)


def _group_norm(args: Sequence[Any]) -> nn.Module | None:
    weight = _get(args, 1, None)
    return None if weight is None else nn.GroupNorm(args[0], weight[0], eps=_get(args, 3, 1e-5))


def _pool(made: Any, *names: str) -> _Maker:
    def make(args: Sequence[Any]) -> nn.Module:
        found = {name: args[number] for number, name in enumerate(names) if len(args) > number}
        found = {name: _one(value) for name, value in found.items() if value is not None and value != []}
        layer: nn.Module = made(**found)
        return layer

    return make


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(set(value)) == 1 else value


def _hardtanh(args: Sequence[Any]) -> nn.Module:
    low, high = _get(args, 0, -1.0), _get(args, 1, 1.0)
    return nn.ReLU6() if (low, high) == (0, 6) else nn.Hardtanh(low, high)


_MAKERS: Mapping[str, _Maker] = {
    **{f"conv{axes}d": _conv(axes) for axes in (1, 2, 3)},
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "max_pool2d": _pool(nn.MaxPool2d, "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg_pool2d": _pool(nn.AvgPool2d, "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "adaptive_avg_pool2d": lambda args: nn.AdaptiveAvgPool2d(_one(args[0])),
    "relu": lambda args: nn.ReLU(),
    "relu6": lambda args: nn.ReLU6(),
    "hardtanh": _hardtanh,
    "silu": lambda args: nn.SiLU(),
    "gelu": lambda args: nn.GELU(_get(args, 0, "none")),
    "hardswish": lambda args: nn.Hardswish(),
    "hardsigmoid": lambda args: nn.Hardsigmoid(),
    "sigmoid": lambda args: nn.Sigmoid(),
    "tanh": lambda args: nn.Tanh(),
    "leaky_relu": lambda args: nn.LeakyReLU(_get(args, 0, 0.01)),
    "softmax": lambda args: nn.Softmax(args[0]),
    "dropout": lambda args: nn.Dropout(_get(args, 0, 0.5)),
}
