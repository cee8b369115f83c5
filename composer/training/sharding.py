"""FSDP2: every process keeps a share of each parameter, block by block; and whole tensors again for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from composer.compile.groups import block_nodes
from composer.compile.module import ComposedModule


def shard(model: nn.Module, composed: ComposedModule, mesh: Any) -> None:
    """Share a network's parameters among processes: each block is gathered when it runs, and let go behind it.

    model     the network, or a copy of it; it is changed
    composed  the network as it was composed, which knows its blocks
    mesh      the processes
    """
    for node in block_nodes(composed.graph.root):
        fully_shard(model.get_submodule(node.path), mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(value: Any) -> Any:
    """The same with whole tensors on the CPU in place of shares: the state of an optimizer or a network.

    All processes must call it together.
    """
    if isinstance(value, Mapping):
        return {name: whole(one) for name, one in value.items()}
    if isinstance(value, DTensor):
        return value.full_tensor().detach().cpu()
    return value


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimizer its state of whole tensors, each as a share where its parameter is one."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    own = {
        number: {name: _like(one, parameters[number]) for name, one in values.items()}
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": own})


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a network whole tensors, each as a share where its own is one."""
    own = model.state_dict()
    model.load_state_dict({name: _like(one, own[name]) for name, one in tensors.items()})


def _like(value: Any, target: Tensor) -> Any:
    if isinstance(target, DTensor) and isinstance(value, Tensor) and value.shape == target.shape:
        return distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    return value
