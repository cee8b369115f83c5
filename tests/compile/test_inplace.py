"""An activation overwrites its input only where nobody else takes it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import composer

CONV = {"op": "conv2d", "out_channels": 3, "kernel_size": 3}


def build(nodes: dict[str, Any], **others: Any) -> composer.ComposedModule:
    return composer.build({"input": [3, 5, 5], "nodes": nodes, **others})


def test_behind_a_convolution_a_norm_and_a_sum():
    model = composer.build("resnet18")
    acts = {name: module.inplace for name, module in model.named_modules() if name.rpartition(".")[2].startswith("act")}
    assert acts
    assert all(acts.values())


@pytest.mark.parametrize(
    "spec",
    [
        {"nodes": {"act": "relu"}},
        {"nodes": {"conv": CONV, "act": "relu", "add": {"op": "add", "from": ["conv", "act"]}}},
        {"nodes": {"conv": CONV, "act": "relu"}, "outputs": {"raw": "conv", "act": "act"}},
        {"nodes": {"conv": CONV, "skip": {"op": "sigmoid", "when": False}, "act": "relu"}},
        {"nodes": {"conv": CONV, "squash": "sigmoid", "act": "relu"}},
    ],
)
def test_not_where_the_tensor_is_needed(spec):
    model = composer.build({"input": [3, 5, 5], **spec})
    assert not model.get_submodule("act").inplace
    x = torch.randn(2, 3, 5, 5)
    before = x.clone()
    model(x)
    assert torch.equal(x, before)


def test_gradients_are_those_without():
    total = {"op": "add", "from": ["again", "act"]}
    nodes = {"conv": CONV, "bn": "batch_norm", "act": "relu", "again": CONV, "sum": total, "last": "silu"}
    model = build(nodes)
    x = torch.randn(2, 3, 5, 5)
    model(x).square().sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    assert [model.get_submodule(name).inplace for name in ("act", "last")] == [True, True]
    for name in ("act", "last"):
        model.get_submodule(name).inplace = False
    model.zero_grad()
    model(x).square().sum().backward()
    assert all(torch.equal(found[name], parameter.grad) for name, parameter in model.named_parameters())


def test_a_plugins_layer_may_give_back_its_input():
    @composer.layer("test_nothing", kind="norm")
    def nothing(x: torch.Tensor) -> torch.Tensor:
        """x"""
        return x

    assert not build({"same": "test_nothing", "act": "relu"}).get_submodule("act").inplace
