"""A composed network run operation by operation, so that any node can be looked at: functions too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from composer.dag.follow import follow
from composer.dag.scope import Node, Operation

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def run(model: ComposedModule, node: Node, inputs: Sequence[Tensor]) -> Tensor:
    """What an operation of a network gives."""
    operation = node.content
    assert isinstance(operation, Operation)
    if operation.entry.form == "function":
        value: Tensor = operation.entry.factory(*inputs, **operation.options)
    elif operation.entry.form == "parameter":
        value = model.get_parameter(node.path)
    else:
        value = model.get_submodule(node.path)(*inputs)
    return value


def run_steps(
    model: ComposedModule, x: Tensor, then: Callable[[Node, Tensor], Tensor] = lambda node, value: value
) -> dict[str, Tensor]:
    """A network's outputs by name, as its forward has them. `then` sees each node's value and gives what goes on."""
    (name,) = model.graph.root.inputs
    return follow(model.graph.root, {name: x}, lambda node, inputs: run(model, node, inputs), then)


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
