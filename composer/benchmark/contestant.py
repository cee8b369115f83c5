"""A network that is measured: its module, and what it is called with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from composer.benchmark.settings import Pass, Settings, name_of
from composer.compile.graph import compile_graph
from composer.compile.module import ComposedModule
from composer.dag.composition import Composition
from composer.dag.host import HostScope
from composer.errors import Diagnostic, InputError
from composer.hosts.recording.nested import tensors_in
from composer.sources.calls import called


@dataclass(frozen=True)
class Contestant:
    """A network, ready to run.

    name    what it is called in the report
    model   the module
    args, kwargs  what it is called with
    graph   what it was composed from; None for a module of somebody's own
    built   whether the module was made from the graph here, so that another process can make it too
    """

    name: str
    model: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    graph: Composition | None = None
    built: bool = False

    @classmethod
    def of_graph(cls, graph: Composition, settings: Settings) -> Contestant:
        """The network of a graph, with random weights, on random inputs."""
        model = settings.placed(compile_graph(graph))
        args, kwargs = inputs_of(graph, settings)
        return cls(graph.spec.name, model, args, kwargs, graph, built=True)

    @classmethod
    def of_module(cls, model: nn.Module, example: Any, settings: Settings) -> Contestant:
        """A copy of a module, on its example; on random inputs if it is composed and there is none."""
        graph = model.composed.graph if isinstance(model, ComposedModule) else None
        name = graph.spec.name if graph else type(model).__name__
        model = settings.placed(copy.deepcopy(model))
        if example is None and graph is not None:
            args, kwargs = inputs_of(graph, settings)
            return cls(name, model, args, kwargs, graph)
        if example is None:
            text = f"nothing says what `{name}` is called with"
            raise InputError(
                Diagnostic(
                    "keyword", text, label="`example`: a tensor, a tuple of arguments, or a mapping of named ones"
                )
            )
        keywords = dict(example) if isinstance(example, Mapping) else {}
        args = () if keywords else example if isinstance(example, tuple) else (example,)
        kwargs = {word: _placed(one, settings) for word, one in keywords.items()}
        return cls(name, model, tuple(_placed(one, settings) for one in args), kwargs, graph)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that it is called with."""
        return [one for _, one in tensors_in([*self.args, *self.kwargs.values()])]

    @property
    def batch(self) -> int:
        """The number of examples in a run: the length of the first axis of the first tensor."""
        return next((len(one) for one in self.tensors if one.ndim), 1)

    @property
    def words(self) -> str:
        """Its dtype, the batch, and the shapes of what it is called with without the batch."""
        dtype = name_of(next((one.dtype for one in self.model.parameters()), torch.float32))
        shapes = " and ".join("×".join(map(str, one.shape[1:])) for one in self.tensors)
        return f"{dtype}, batch {self.batch}, {shapes}"

    def compiled(self) -> Contestant:
        """The same with a module that `torch.compile` makes code for."""
        return replace(self, model=cast("nn.Module", torch.compile(self.model)))

    def run(self, kind: Pass) -> None:
        """One pass. Raises InputError if the network gives nothing to learn from."""
        if kind == "forward":
            with torch.inference_mode():
                self.model(*self.args, **self.kwargs)
            return
        self.model.zero_grad(set_to_none=True)
        result = self.model(*self.args, **self.kwargs)
        means = [one.float().mean() for _, one in tensors_in(result) if one.requires_grad]
        if not means:
            text = f"no output of `{self.name}` has a gradient, so there is no training step to measure"
            raise InputError(Diagnostic("network", text, help=("measure the forward pass alone",)))
        torch.stack(means).sum().backward()


def inputs_of(graph: Composition, settings: Settings) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Standard normal inputs of the network's size, as its forward takes them."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(settings.batch, *one.without_batch) for one in graph.root.inputs.values()]
    tensors = [_placed(torch.randn(shape, generator=generator), settings) for shape in shapes]
    if isinstance(graph.root, HostScope) and graph.spec.source is not None:
        return called(graph.spec.source, tensors)
    return tuple(tensors), {}


def _placed(value: Any, settings: Settings) -> Any:
    if not isinstance(value, Tensor):
        return value
    dtype = settings.dtype if value.is_floating_point() and settings.dtype is not None else value.dtype
    value = value.to(device=settings.device, dtype=dtype)
    maps = settings.channels_last and value.ndim == 4
    return value.contiguous(memory_format=torch.channels_last) if maps else value


Wait = Callable[[], None]


def waiting(settings: Settings) -> Wait:
    """A function that waits until the device has finished its work."""
    if settings.device.type == "cuda":
        return lambda: torch.cuda.synchronize(settings.device)
    return lambda: None


def modes(contestants: Sequence[Contestant], kind: Pass) -> None:
    """Put networks into the mode of a pass."""
    for one in contestants:
        one.model.train(kind == "step")
