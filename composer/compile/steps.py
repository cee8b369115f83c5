"""A composed network run operation by operation, so that any node can be looked at: functions too."""

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
    """What computes an operation of a network from the tensors that arrive at it."""
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
    """A network's outputs by name, as its forward has them. `then` sees each node's value and gives what goes on."""
    (name,) = model.graph.root.inputs
    return follow(model.graph.root, {name: x}, lambda node, inputs: callable_of(model, node)(*inputs), then)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode; each module's own mode, and PyTorch's random numbers, are afterwards what they were."""
    modes = {module: module.training for module in model.modules()}
    devices = {tensor.device.index or 0 for tensor in model.parameters() if tensor.is_cuda}
    try:
        with torch.random.fork_rng(devices=sorted(devices)):
            model.eval()
            yield
    finally:
        for module, training in modes.items():
            module.training = training
