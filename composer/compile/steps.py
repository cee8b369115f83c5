"""Runs a composed network operation by operation, so that the value of any node can be seen, also of functions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from composer.dag.follow import follow
from composer.dag.scope import Node, Operation
from composer.registry import FunctionEntry, ParameterEntry

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def callable_of(model: ComposedModule, node: Node) -> Callable[..., Tensor]:
    """The function that computes an operation's output tensor from its input tensors."""
    operation = node.content
    assert isinstance(operation, Operation)
    if isinstance(operation.entry, FunctionEntry):
        function: Callable[..., Tensor] = operation.make()
        return function
    if isinstance(operation.entry, ParameterEntry):
        parameter = model.get_parameter(node.path)
        return lambda: parameter
    return model.get_submodule(node.path)


def run_steps(
    model: ComposedModule, x: Tensor, then: Callable[[Node, Tensor], Tensor] = lambda node, value: value
) -> dict[str, Tensor]:
    """Output tensors by name, as in the network's forward. `then` maps each node's value to the one to go on with."""
    (name,) = model.graph.root.inputs
    return follow(model.graph.root, {name: x}, lambda node, inputs: callable_of(model, node)(*inputs), then)


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
