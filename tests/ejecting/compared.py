"""Loads an ejected file, and compares its network with the one that composer builds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

import composer


def loaded(text: str, folder: Path, name: str = "ejected") -> ModuleType:
    """The module of an ejected file."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"{name}_{abs(hash(text))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def network_of(module: ModuleType) -> type[nn.Module]:
    """The class of the network: the last that the file defines."""
    return [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__][-1]


def ran(model: nn.Module, inputs: list[torch.Tensor], *, training: bool) -> tuple[dict[str, Any], list[Any]]:
    """Outputs by name; gradients of the parameters and of the inputs."""
    model.train(training)
    model.zero_grad()
    torch.manual_seed(0)
    given = [one.clone().requires_grad_() for one in inputs]
    output = model(*given)
    outputs = output if isinstance(output, dict) else {"": output}
    sum(one.sin().sum() for one in outputs.values()).backward()
    return outputs, [one.grad for one in (*model.parameters(), *given)]


def compare(composed: composer.ComposedModule, ejected: nn.Module, *, batch: int = 2) -> None:
    """Keys and their order, and outputs and gradients bit for bit, in evaluation and in training."""
    state = composed.state_dict()
    assert list(ejected.state_dict()) == list(state)
    assert [name for name, _ in ejected.named_parameters()] == [name for name, _ in composed.named_parameters()]
    ejected.load_state_dict(state)
    drawn = torch.Generator().manual_seed(1)
    inputs = [torch.randn(batch, *one.shape, generator=drawn) for one in composed.spec.inputs.values()]
    for training in (False, True):
        (outputs, gradients), (others, theirs) = (ran(one, inputs, training=training) for one in (composed, ejected))
        assert list(outputs) == list(others)
        for name, value in outputs.items():
            assert torch.equal(value, others[name]), (name, training)
        for one, other in zip(gradients, theirs, strict=True):
            assert (one is None) == (other is None)
            assert one is None or torch.equal(one, other), training
