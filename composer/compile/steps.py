"""Runs a composed network operation by operation, so that the value of any node can be seen, also of functions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from composer.compile.links import replaced
from composer.compile.parts import modules
from composer.dag.follow import follow
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.registry import FunctionEntry, ParameterEntry

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def callable_of(model: ComposedModule, node: Node) -> Callable[..., Tensor]:
    """The function that computes a node's output tensor from its input tensors."""
    operation = node.content
    if isinstance(operation, Operation) and isinstance(operation.entry, FunctionEntry):
        function: Callable[..., Tensor] = operation.make()
        return function
    if isinstance(operation, Operation) and isinstance(operation.entry, ParameterEntry):
        parameter = model.get_parameter(node.owner)
        return lambda: parameter
    return model.get_submodule(node.owner)


def run_steps(
    model: ComposedModule, x: Tensor, then: Callable[[Node, Tensor], Tensor] = lambda node, value: value
) -> dict[str, Tensor]:
    """Output tensors by name, as in the network's forward. `then` maps each node's value to the one to go on with.

    A scope with modules that were removed by hand runs as a whole, so `then` sees no node inside. Raises InputError if
    the network itself lacks a module.
    """
    (name,) = model.graph.root.inputs
    root = model.graph.root
    lacking = set(_lacking(root, dict(model.named_modules())))
    closed = {node.path for node in root.walk() if node.owner in lacking}
    return follow(root, {name: x}, lambda node, inputs: callable_of(model, node)(*inputs), then, closed)


def _lacking(scope: Scope, live: Mapping[str, nn.Module]) -> Iterator[str]:
    """Paths of the scopes that lack one of their modules, the outermost only."""
    own = modules(scope).values()
    lost = next((node.path for node in own if node.path not in live), None)
    if lost is not None and not scope.path:
        raise replaced(lost, None)
    if lost is not None:
        yield scope.path
        return
    for node in own:
        if isinstance(node.content, Scope) and node.owns:
            yield from _lacking(node.content, live)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode for the time of a `with` block; then each module's mode and PyTorch's random state are restored."""
    modes = {module: module.training for module in model.modules()}
    devices = {tensor.device.index or 0 for tensor in model.parameters() if tensor.is_cuda}
    try:
        with torch.random.fork_rng(devices=sorted(devices)):
            model.eval()
            yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """A context in which no weight takes a gradient, so that existing gradients stay unchanged."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
