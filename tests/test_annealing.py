"""The temperature of dynamic convolution follows the epochs, and checkpoints keep it."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import composer
from composer.mechanisms.kernel.dynconv import DynamicConv

RULE = {"use": "dynconv", "replace": "layer4.*.conv2"}
SPEC = {"backbone": "resnet18", "vars": {"num_classes": 3}, "attention": [RULE]}


def test_thirty_falls_to_one_over_ten_epochs():
    model = composer.build(SPEC)
    values = [composer.anneal(model, epoch=epoch) for epoch in (0, 2.5, 5, 10, 99)]
    assert [set(found) for found in values] == [{"layer4.0.conv2", "layer4.1.conv2"}] * 5
    assert [found["layer4.0.conv2"] for found in values] == [30, 22.75, 15.5, 1, 1]


def test_checkpoints_and_copies_keep_it():
    model = composer.build(SPEC)
    composer.anneal(model, epoch=5)
    other = composer.build(SPEC)
    other.load_state_dict(model.state_dict())
    for twin in (other, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.get_buffer("layer4.1.conv2.temperature").item() == 15.5


def test_a_hot_router_is_flat_and_a_cold_one_is_not():
    conv = composer.build(SPEC).get_submodule("layer4.0.conv2")
    torch.nn.init.normal_(conv.fc2.weight, std=5)
    x = torch.randn(4, 512, 3, 3)
    hot = conv.attention(x).amax(1)
    conv.anneal(10)
    assert (conv.attention(x).amax(1) > hot + 0.1).all()


def test_a_compiled_network_follows_without_compiling_anew():
    torch.compiler.reset()
    conv = composer.build(SPEC).get_submodule("layer4.0.conv2").eval()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    compiled = torch.compile(conv, backend=backend, fullgraph=True)
    x = torch.randn(2, 512, 3, 3)
    with torch.no_grad():
        before = compiled(x)
        conv.anneal(10)
        assert not torch.equal(compiled(x), before)
        assert torch.equal(compiled(x), conv(x))
    assert len(graphs) == 1


def test_wrapped_and_compiled_networks():
    conv = DynamicConv(8, 8)
    torch.nn.Module.register_module(holder := torch.nn.Module(), "anneal", torch.nn.Identity())
    parts = {"wrapped": torch.nn.DataParallel(conv), "compiled": torch.compile(DynamicConv(8, 8)), "holder": holder}
    found = composer.anneal(torch.nn.ModuleDict(parts), epoch=5)
    assert found == {"wrapped.module": 15.5, "compiled._orig_mod": 15.5}
    assert conv.temperature.item() == 15.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_in_other_precisions(dtype):
    conv = DynamicConv(8, 8).to(dtype)
    composer.anneal(conv, epoch=5)
    assert conv.temperature == 15.5
    assert conv(torch.randn(2, 8, 4, 4, dtype=dtype)).dtype == dtype


def test_without_such_modules_and_with_a_negative_epoch():
    assert composer.anneal(torch.nn.Linear(2, 2), epoch=3) == {}
    for epoch in (-1, float("nan")):
        with pytest.raises(ValueError, match="epochs count from 0"):
            composer.anneal(torch.nn.Linear(2, 2), epoch=epoch)
