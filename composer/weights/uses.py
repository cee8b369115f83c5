"""How a network uses each of its parameters: a forward pass shows what names and shapes do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from composer.torch_private import TorchDispatchMode, arguments_of, tree_leaves

# Setting -> its value, a plain JSON value.
Use = dict[str, Any]
# Name of a tensor of the state_dict -> how it is used.
Uses = Mapping[str, Use]

BEFORE = "before"
INPUT = "input"

# PyTorch's name of an operation with parameters -> the settings to record.
_SETTINGS = {
    "convolution": ("stride", "padding", "dilation", "groups", "transposed"),
    "native_batch_norm": ("eps", "momentum"),
    "native_layer_norm": ("eps",),
    "native_group_norm": ("eps", "group"),
}
# Operations without parameters that distinguish networks with equal weights -> the arguments to record.
_STEPS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("relu", "silu", "mish", "hardswish", "hardsigmoid", "sigmoid", "tanh", "elu", "softplus"), ()),
    "hardtanh": ("min_val", "max_val"),
    "leaky_relu": ("negative_slope",),
    "gelu": ("approximate",),
    "max_pool2d_with_indices": ("kernel_size", "stride", "padding", "ceil_mode"),
    "avg_pool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "_adaptive_avg_pool2d": ("output_size",),
    "adaptive_max_pool2d": ("output_size",),
    "mean": (),
    "amax": (),
    "roll": ("shifts",),
    "reflection_pad2d": ("padding",),
    "replication_pad2d": ("padding",),
}
_WORDS = {"max_pool2d_with_indices": "max_pool2d", "_adaptive_avg_pool2d": "adaptive_avg_pool2d"}


def uses_of(model: nn.Module, shapes: Sequence[Sequence[int]]) -> Uses:
    """How a model on the meta device uses the tensors of its state_dict, in eval mode.

    shapes  shape per input, without the batch

    `before` lists, sorted and in words, what happens between this tensor's operation and the operations with parameters
    before it: pools, activations, shifts; `input` if no parameters come before. Padding is a number, or left, right,
    top and bottom. Raises what the model raises for inputs of these shapes.
    """
    inputs = [torch.empty((2, *shape), device="meta") for shape in shapes]
    names = {id(tensor): name for name, tensor in model.state_dict(keep_vars=True).items()}
    trace = _Trace(names, inputs)
    with torch.no_grad(), trace:
        model.eval()(*inputs)
    return trace.uses


class _Trace(TorchDispatchMode):
    """Follows each tensor, from the input or from parameters alone, through every operation."""

    def __init__(self, names: Mapping[int, str], inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.uses: dict[str, Use] = {}
        self.of: dict[int, tuple[str, ...]] = {key: (name,) for key, name in names.items()}
        self.since: dict[int, frozenset[str]] = {id(tensor): frozenset([INPUT]) for tensor in inputs}
        self.padded: dict[int, tuple[int, ...]] = {}
        # An id is unique only while its tensor lives.
        self.alive: list[Any] = [*inputs]

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        taken = [id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        given = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.alive += [args, kwargs, result]
        names = tuple(dict.fromkeys(name for key in taken for name in self.of.get(key, ())))
        since = [self.since[key] for key in taken if key in self.since]
        arguments = _bound(func, args, kwargs or {})
        name = func.overloadpacket.__name__
        if since and names:
            padding = self.padded.get(taken[0], (0, 0, 0, 0))
            self._use(names, {**_settings(name, arguments, padding), BEFORE: sorted(frozenset().union(*since))})
            for tensor in given:
                self.since[id(tensor)] = frozenset()
        elif since:
            step = _step(name, arguments, given)
            for tensor in given:
                self.since[id(tensor)] = frozenset().union(*since, [step] if step else [])
                if name == "constant_pad_nd":
                    self.padded[id(tensor)] = (*arguments["pad"], 0, 0, 0, 0)[:4]
        elif names:
            # Weights may be standardised before use, with an eps of their own.
            self._use(names, _settings(name, arguments, (0, 0, 0, 0)))
            self.of.update({id(tensor): names for tensor in given})
        return result

    def _use(self, names: Sequence[str], use: Use) -> None:
        for name in names:
            self.uses[name] = {**use, **self.uses.get(name, {})}


def _bound(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """An operation's arguments by name, with its defaults."""
    schema = arguments_of(func)
    found = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    return {**found, **dict(zip((argument.name for argument in schema), args, strict=False)), **kwargs}


def _settings(name: str, arguments: Mapping[str, Any], padded: Sequence[int]) -> Use:
    found = {key: _plain(arguments[key]) for key in _SETTINGS.get(name, ())}
    if found.get("momentum") is not None and arguments["running_mean"] is None:
        del found["momentum"]
    if "padding" in found:
        vertical, horizontal = (
            arguments["padding"] if len(arguments["padding"]) == 2 else (arguments["padding"][0],) * 2
        )
        sides = zip(padded, (horizontal, horizontal, vertical, vertical), strict=True)
        found["padding"] = _plain([one + other for one, other in sides])
    return found


def _step(name: str, arguments: Mapping[str, Any], given: Sequence[Tensor]) -> str | None:
    name = name.removesuffix("_")
    if name not in _STEPS:
        return None
    first = next(iter(arguments.values()))
    if "adaptive" in name and tuple(first.shape) == tuple(given[0].shape):
        return None
    options = {key: _plain(arguments[key]) for key in _STEPS[name]}
    # By PyTorch's default, the stride of a pool is the size of its kernel.
    if options.get("stride", True) == []:
        options["stride"] = options["kernel_size"]
    if options.get("padding") == 0:
        options.pop("count_include_pad", None)
    if options.get("shifts") == 0:
        return None
    words = [f"{key} {value}" for key, value in options.items() if value not in (0, False, "none")]
    name = _WORDS.get(name, name)
    return f"{name} ({', '.join(words)})" if words else name


def _plain(value: Any) -> Any:
    """A value as JSON stores it; equal lengths in all directions become a single number."""
    if isinstance(value, float):
        # Rounding makes a momentum written as 1 - 0.9997 equal to 0.0003.
        return float(f"{value:.9g}")
    if isinstance(value, list | tuple):
        found = [_plain(one) for one in value]
        return found[0] if found and all(one == found[0] for one in found) else found
    return value
