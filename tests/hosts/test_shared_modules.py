"""A module that several modules call from their own forwards is changed once, where it is owned, for all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import composer
from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.rules.placing import place
from composer.hosts.insert import called
from composer.hosts.plain import recorded_plain
from composer.hosts.rules import spec_of_rules
from tests.hosts.nets import equal

X = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))


class Position(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).relu()


class Block(nn.Module):
    def __init__(self, position: Position) -> None:
        super().__init__()
        self.position, self.fc = position, nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.fc(self.position(x))
        return result


class Net(nn.Module):
    """The model owns the position encoding, as CoaT does; both blocks call it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.position = Position()
        self.blocks = nn.Sequential(Block(self.position), Block(self.position))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.blocks(x)
        return result


def test_what_is_replaced_inside_is_replaced_for_all() -> None:
    model = Net().eval()
    keys, plain = list(model.state_dict()), model(X)
    composer.insert(model, {"use": "condconv", "replace": "position.proj"}, X)
    made: Any = model.position.proj
    wanted = X
    for block in model.blocks:
        wanted = wanted + block.fc(made(wanted).relu())
    assert torch.equal(model(X), wanted)
    assert not torch.equal(wanted, plain)
    composer.remove(model)
    assert list(model.state_dict()) == keys
    assert torch.equal(model(X), plain)


def test_what_is_inserted_inside_runs_in_each_call() -> None:
    model = Net().eval()
    composer.insert(model, {"use": "se", "after": "position.proj", "with": {"reduction": 2}}, X)
    gate: Any = model.position.proj_se
    wanted = X
    for block in model.blocks:
        wanted = wanted + block.fc(gate(block.position.proj(wanted)).relu())
    assert equal(model(X), wanted)


def test_the_graph_has_the_change_in_each_call() -> None:
    _, before, _ = recorded_plain(Net(), *called(X), {})
    spec = spec_of_rules({"use": "condconv", "replace": "position.proj"})
    (after,) = place(before, spec, Limits(), Inference())
    ops = {node.path: node.op for node in after.walk()}
    assert (ops["position.proj"], ops["blocks.1.position.proj"]) == ("condconv", "condconv")
    assert after.num_parameters > before.num_parameters
    (second,) = [node for node in after.walk() if node.path == "blocks.1.position.proj"]
    assert (second.owner, second.content and second.content.num_parameters) == ("position.proj", 0)


def test_a_rule_reaches_the_module_where_it_is_owned() -> None:
    with pytest.raises(composer.GraphError, match=r"calls the module of `position.proj`"):
        composer.insert(Net(), {"use": "se", "after": "blocks.1.position.proj"}, X)
