"""The network that is exported: a copy of it, what it is called with, and the names of its inputs and outputs."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from composer.compile.module import ComposedModule
from composer.dag.composition import Composition
from composer.dag.host import HostScope
from composer.errors import Diagnostic, InputError
from composer.hosts.insert import called
from composer.hosts.recording.nested import free_key, tensors_in, word_of
from composer.sources import calls

# Examples of a batch: of one, exporters would take the batch for a constant.
BATCH = 2
# The axes that may vary, by their names in layouts.
VARYING = ("b", "h", "w")


@dataclass(frozen=True)
class Subject:
    """What is exported.

    name     of the network
    module   in eval mode, with gradients off
    args, kwargs  what it is called with, BATCH examples
    inputs   names of the tensors among them, in order
    axes     for each of these, number of an axis -> its name, of the axes b, h and w
    graph    what it was composed from; None for a module of somebody's own
    """

    name: str
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    inputs: tuple[str, ...]
    axes: tuple[Mapping[int, str], ...]
    graph: Composition | None = None

    @classmethod
    def of_graph(cls, module: ComposedModule, graph: Composition) -> Subject:
        """A composed network, on standard normal inputs of the size that its spec says."""
        kept = next((one for one in module.parameters() if one.is_floating_point()), torch.empty(0))
        generator = torch.Generator().manual_seed(0)
        tensors = []
        for one in graph.root.inputs.values():
            drawn = torch.randn((BATCH, *one.without_batch), generator=generator)
            tensors.append(drawn.to(device=kept.device, dtype=kept.dtype))
        args, kwargs = tuple[Any, ...](tensors), dict[str, Any]()
        if isinstance(graph.root, HostScope) and graph.spec.source is not None:
            args, kwargs = calls.called(graph.spec.source, tensors)
        layouts = [(one.layout or "b").split() for one in graph.root.inputs.values()]
        axes = tuple({at: name for at, name in enumerate(names) if name in VARYING} for names in layouts)
        return cls(graph.spec.name, module, args, kwargs, tuple(graph.root.inputs), axes, graph)

    @classmethod
    def of_module(cls, module: nn.Module, example: Any) -> Subject:
        """A copy of a module of somebody's own, called with its example. Raises InputError."""
        if isinstance(module, ComposedModule) and example is None:
            return cls.of_graph(_still(module), module.composed.graph)
        name = type(module).__name__
        if example is None:
            text = f"nothing says what `{name}` is called with"
            label = "`example`: a tensor, a tuple of arguments, or a mapping of named ones"
            raise InputError(Diagnostic("keyword", text, label=label))
        args, kwargs, words = _bound(module, *called(example))
        found = [*tensors_in(args), *tensors_in(kwargs)]
        if not found:
            raise InputError(Diagnostic("keyword", "`example` holds no tensor", label="what the module is called with"))
        names: dict[str, Tensor] = {}
        for where, tensor in found:
            first = words[where[0]] if isinstance(where[0], int) else where[0]
            names[free_key(names, word_of((first, *where[1:])))] = tensor
        axes = tuple(_axes_of(tensor) for _, tensor in found)
        subject = cls(name, _still(module), args, kwargs, tuple(names), axes)
        return subject.with_tensors([_of_two(tensor, axes) for tensor, axes in zip(subject.tensors, axes, strict=True)])

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that it is called with, in order."""
        return [one for _, one in [*tensors_in(self.args), *tensors_in(self.kwargs)]]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Subject:
        """The same, called with other tensors."""
        left = iter(tensors)
        args = replaced(self.args, lambda _: next(left))
        return replace(self, args=args, kwargs=replaced(dict(self.kwargs), lambda _: next(left)))

    def sized(self, lengths: Callable[[str, int], int], seed: int = 1) -> list[Tensor]:
        """Tensors to call it with whose axes b, h and w have other lengths.

        lengths  name of an axis and its length -> the new length
        seed     of the standard normal numbers; other tensors than floating-point ones keep their values
        """
        generator = torch.Generator().manual_seed(seed)
        found = []
        for tensor, axes in zip(self.tensors, self.axes, strict=True):
            shape = [lengths(axes[at], n) if at in axes else n for at, n in enumerate(tensor.shape)]
            if tensor.is_floating_point():
                drawn = torch.randn(shape, generator=generator)
                found.append(drawn.to(device=tensor.device, dtype=tensor.dtype))
            else:
                found.append(tensor.expand(shape) if tensor.shape[:1] == (1,) else _repeated(tensor, shape))
        return found

    def outputs(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The output tensors of the network for these inputs, in order."""
        called = self.with_tensors(tensors)
        with torch.no_grad():
            return self.flat(self.module(*called.args, **called.kwargs))

    @staticmethod
    def flat(result: Any) -> list[Tensor]:
        """The tensors of a result, in order."""
        return [one for _, one in tensors_in(result)]

    def output_names(self) -> list[str]:
        """Names of the output tensors."""
        if self.graph is not None:
            return list(self.graph.outputs)
        with torch.no_grad():
            found = list(tensors_in(self.module(*self.args, **self.kwargs)))
        names: dict[str, Tensor] = {}
        for where, tensor in found:
            word = word_of(where)
            names[free_key(names, f"output_{word}" if word[:1].isdigit() else word or "output")] = tensor
        return list(names)


def replaced(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Nested arguments with each tensor replaced by what `change` makes of it, in order."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: replaced(one, change) for key, one in value.items()}
    if isinstance(value, tuple | list):
        made = [replaced(one, change) for one in value]
        return tuple(made) if isinstance(value, tuple) else made
    return value


def _bound(
    module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any], list[str]]:
    """The arguments in the order of `forward`, named ones only where they must be; and the names of the others.

    Exporters take inputs in this order. Raises InputError for arguments that `forward` does not take.
    """
    signature = inspect.signature(module.forward)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        text = f"`forward` of `{type(module).__name__}` cannot be called with the example: {error}"
        raise InputError(Diagnostic("keyword", text, label=f"forward{signature}")) from error
    words = [name for name, one in signature.parameters.items() if one.kind is not one.VAR_POSITIONAL]
    return bound.args, bound.kwargs, [*words, *(f"input_{at}" for at in range(len(words), len(bound.args)))]


def _still(module: Any) -> Any:
    """A copy in eval mode, without gradients."""
    found = copy.deepcopy(module)
    found.eval()
    return found.requires_grad_(False)


def _axes_of(tensor: Tensor) -> Mapping[int, str]:
    """The axes that may vary of an input that nobody described: of four axes they are b c h w."""
    if tensor.ndim == 4 and tensor.is_floating_point():
        return {0: "b", 2: "h", 3: "w"}
    return {0: "b"} if tensor.ndim else {}


def _of_two(tensor: Tensor, axes: Mapping[int, str]) -> Tensor:
    if axes.get(0) != "b" or len(tensor) >= BATCH:
        return tensor
    return _repeated(tensor, [BATCH, *tensor.shape[1:]])


def _repeated(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """A tensor of the shape that repeats the values of another, or leaves some out."""
    for at, length in enumerate(shape):
        index = torch.arange(length, device=tensor.device) % max(1, tensor.shape[at])
        tensor = tensor.index_select(at, index)
    return tensor
