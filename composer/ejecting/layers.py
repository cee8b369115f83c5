"""What makes each operation of a network: a call with every option resolved, as a person would write it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from composer.dag.operation import Operation
from composer.ejecting.fit import literal
from composer.ejecting.tree import Call, Layers, signature_of
from composer.registry import FunctionEntry, ModuleEntry

# Arguments that are written without their names, for layers with more than one.
_PLAIN = {nn.Conv1d: 5, nn.Conv2d: 5, nn.Conv3d: 5, nn.ConvTranspose2d: 5, nn.Linear: 2, nn.GroupNorm: 2}
_PLAIN |= {nn.MaxPool1d: 3, nn.MaxPool2d: 3, nn.MaxPool3d: 3, nn.AvgPool1d: 3, nn.AvgPool2d: 3, nn.AvgPool3d: 3}
# The entries whose option `init` is a law of `composer.layers.init`.
_DRAWN = {"conv1d": "he", "conv2d": "he", "conv3d": "he", "conv_transpose2d": "torch", "linear": "torch"}
_DRAWN |= {"axis_linear": "torch"}


@dataclass(frozen=True)
class Law:
    """How the weights of a layer are drawn: the options `init`, `std` and `bias_init` of composer's layers."""

    weight: str
    std: float = 0.02
    bias: Any = None


# Pooling over all positions, which needs no layer: the numbers and gradients are the same bit for bit.
_POOLED = {
    "GlobalAvgPool1d": "§a§.mean(2{keepdim})",
    "GlobalAvgPool2d": "§a§.mean((2, 3){keepdim})",
    "GlobalAvgPool3d": "§a§.mean((2, 3, 4){keepdim})",
    "GlobalMaxPool1d": "F.adaptive_max_pool1d(§a§, 1){flatten}",
    "GlobalMaxPool2d": "F.adaptive_max_pool2d(§a§, 1){flatten}",
    "GlobalMaxPool3d": "F.adaptive_max_pool3d(§a§, 1){flatten}",
}


@dataclass
class Makers:
    """Makes the calls of operations.

    name_of  the name in the file of a class that is copied into it, and its parameters that are still there
    """

    copied: Callable[[type, Mapping[str, Any]], Call]
    library: Any
    made: dict[Hashable, Any] = field(default_factory=dict)

    def module(self, operation: Operation) -> nn.Module:
        """A module like the operation's, on the meta device."""
        if operation.key not in self.made:
            with torch.device("meta"):
                self.made[operation.key] = operation.make()
        found: nn.Module = self.made[operation.key]
        return found

    def call(self, operation: Operation, *, overwrites: bool = False) -> Call | Layers:
        """The call that makes the operation's module.

        overwrites  whether it is an activation that may overwrite its input
        """
        made = self.module(operation)
        kind = type(made)
        if self.by_function(operation):
            names, defaults, plain = signature_of(operation.entry.factory)
            given = {name: _plain(operation.arguments.get(name, defaults.get(name))) for name in names}
            return Call(self.library.name_of(operation.entry.factory), given, defaults, plain, operation.part)
        if kind.__name__ in _POOLED and self.expression(operation) is not None:
            pool = Call(f"nn.Adaptive{kind.__name__.removeprefix('Global')}", {"output_size": 1}, plain=1)
            flat = Layers({"0": pool, "1": Call("nn.Flatten", {})})
            return pool if operation.arguments.get("keepdim", False) else flat
        if kind.__module__.startswith("torch.") and not operation.part:
            call = of_torch(made)
            if overwrites and "inplace" in call.arguments:
                call = Call(call.function, {**call.arguments, "inplace": True}, call.defaults, call.plain)
            return call
        call = self.copied(self.kind_of(operation), arguments_of(operation, made))
        return replace(call, part=operation.part) if operation.part else call

    def by_function(self, operation: Operation) -> bool:
        """Whether a function of a plugin makes the module: it is copied, because it may draw weights of its own."""
        return not operation.entry.is_own and not isinstance(operation.entry.factory, type)

    def kind_of(self, operation: Operation) -> type:
        """The class that the file calls to make the operation's module: the module's own, or that of which it is a
        part."""
        made = self.module(operation)
        if operation.part and isinstance(operation.entry, ModuleEntry):
            return operation.entry.module
        return type(made)

    def expression(self, operation: Operation) -> str | None:
        """The expression that stands for a module which needs none in a forward; None for others."""
        if not isinstance(operation.entry, ModuleEntry) or not operation.entry.is_own:
            return None
        made = self.module(operation)
        written = _POOLED.get(type(made).__name__) if not operation.part else None
        if written is None:
            return None
        keepdim = operation.arguments.get("keepdim", False)
        return written.format(keepdim=", keepdim=True" if keepdim else "", flatten="" if keepdim else ".flatten(1)")

    def written(self, operation: Operation, names: list[str], inputs: tuple[Any, ...]) -> str:
        """The call of a function with tensors of these names."""
        entry = operation.entry
        assert isinstance(entry, FunctionEntry)
        if entry.code is not None:
            return entry.call(names, inputs, operation.options)
        short = self.library.expression_of(entry.factory, names)
        if short is not None:
            return short
        known = self.library.parameters_of(entry.factory)
        options = [f"{name}={literal(_plain(one))}" for name, one in operation.options.items() if name in known]
        return f"{self.library.name_of(entry.factory)}({', '.join([*names, *options])})"


def arguments_of(operation: Operation, made: nn.Module) -> Mapping[str, Any]:
    """The arguments with which the class of a copied module is called."""
    factory = operation.entry.factory
    if operation.part or factory is type(made):
        names, defaults, _ = signature_of(factory)
        return {name: _plain(operation.arguments.get(name, defaults.get(name))) for name in names}
    names, defaults, _ = signature_of(type(made))
    found = {name: _plain(getattr(made, name)) for name in names if hasattr(made, name)}
    if type(made).__name__ == "UpsampleToMultiple":
        found |= {"mode": made.mode, "align_corners": made.align_corners}
    return found


def of_torch(made: nn.Module) -> Call:
    """The call that makes a layer of PyTorch's."""
    kind = type(made)
    names, defaults, plain = signature_of(kind)
    arguments = {name: _plain(_read(made, name)) for name in names if hasattr(made, name) or name == "init"}
    if "kernel_size" in arguments and "stride" in defaults and defaults["stride"] is None:
        arguments["stride"] = None if arguments["stride"] == arguments["kernel_size"] else arguments["stride"]
    return Call(f"nn.{kind.__name__}", arguments, defaults, min(plain, _PLAIN.get(kind, _plain_by_default(kind))))


def _plain_by_default(kind: type) -> int:
    return 0 if kind.__module__.endswith("activation") and kind not in (nn.PReLU, nn.LeakyReLU) else 1


def _read(made: nn.Module, name: str) -> Any:
    if name == "bias":
        value = getattr(made, "bias", None)
        return value if isinstance(value, bool) else value is not None
    if name == "init":
        return _start(made)
    value = getattr(made, name)
    if name == "normalized_shape" or (isinstance(value, tuple) and not isinstance(made, nn.ZeroPad2d)):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value


def _start(made: nn.Module) -> float:
    return float(getattr(made, "init", 0.25))


def _plain(value: Any) -> Any:
    """A value that compares and prints well: tuples, not lists."""
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def of_parameter(arguments: Mapping[str, Any]) -> Call:
    """The call that makes a learnable tensor."""
    shape: dict[str, Any] = {str(index): length for index, length in enumerate(arguments["shape"])}
    init, std = arguments.get("init", "zeros"), arguments.get("std", 0.02)
    sizes = Call("", shape, plain=len(shape))
    # Without axes it is a single number.
    shape = shape or {"0": sizes}
    if init in ("normal", "trunc_normal"):
        empty = Call("torch.empty", shape, plain=len(shape))
        data = Call(f"nn.init.{init}_", {"tensor": empty, "std": float(std)}, plain=1)
    elif init in ("zeros", "ones", 0.0, 1.0):
        data = Call(f"torch.{'zeros' if init in ('zeros', 0.0) else 'ones'}", shape, plain=len(shape))
    else:
        data = Call("torch.full", {"size": sizes, "fill_value": float(init)}, plain=2)
    return Call("nn.Parameter", {"data": data}, plain=1)


def law_of(operation: Operation) -> Law | None:
    """How the weights of an operation are drawn, if not as its class draws them."""
    entry, arguments = operation.entry, operation.arguments
    if not isinstance(entry, ModuleEntry) or not entry.is_own:
        return None
    if entry.name in _DRAWN:
        law = Law(arguments.get("init", _DRAWN[entry.name]), arguments.get("std", 0.02), arguments.get("bias_init"))
        return None if law.weight == "torch" and law.bias in (None, "torch") else law
    if entry.name == "batch_norm" and arguments.get("init") == "zeros":
        return Law("scale")
    return None
