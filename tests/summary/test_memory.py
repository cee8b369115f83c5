"""Activation memory, to the byte, beside what autograd saves while the composed network trains."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import composer
from composer.summary.memory import Unknown, activation_memory
from tests.mechanisms.cases import SAMPLED


def kept(model: nn.Module, batch: int) -> int:
    """Bytes of the storages that autograd saves in a forward pass, parameters, buffers and inputs left out."""
    inputs = [torch.randn(batch, *tensor.shape[1:]) for tensor in model.graph.root.inputs.values()]
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers(), *inputs]}
    saved: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.train()(*inputs)
    return sum(storage.nbytes() for storage in saved.values())


def check(source: Any) -> int:
    """Asserts that three more examples cost three times what is counted; returns the count."""
    model = composer.build(source)
    counted = sum(activation_memory(model.graph.root).values())
    assert kept(model, 5) - kept(model, 2) == 3 * counted
    return counted


@pytest.mark.parametrize(
    "source",
    [
        {"backbone": "resnet18", "input": [3, 64, 64]},
        {"backbone": "mobilenetv2_100", "input": [3, 64, 64]},
        {"backbone": "efficientnet_b0", "input": [3, 64, 64]},
        {"backbone": "vit", "input": [3, 64, 64], "vars": {"depth": 2, "dim": 48, "num_heads": 4}},
        {"backbone": "resnet18", "input": [3, 64, 64], "outputs": {"c2": "layer1", "c3": "layer2.0.bn1"}},
        {"backbone": "resnet18", "input": [3, 64, 64], "attention": [{"use": "cbam", "after": "branch"}]},
        {
            "backbone": "resnet18",
            "input": [3, 64, 64],
            "attention": [
                {"use": "mhsa", "after": "stage", "where": "last", "start": "identity"},
                {"use": "se", "beside": "spatial_conv", "where": "stage == 2 and stride == 1"},
                {"use": "sk", "replace": "spatial_conv", "where": "stage == 3"},
            ],
        },
    ],
    ids=["resnet", "mobilenet", "efficientnet", "vit", "outputs", "cbam", "several rules"],
)
def test_counted_is_what_autograd_keeps(source):
    assert check(source) > 0


@pytest.mark.parametrize("entry", SAMPLED)
def test_every_mechanism(entry):
    place = {"replace": "conv"} if entry.replaces else {"after": "bn"}
    nodes = {
        "stem": {"op": "conv2d", "out_channels": 16, "kernel_size": 1},
        "conv": {"op": "conv2d", "out_channels": 16, "kernel_size": 3},
        "bn": "batch_norm",
        "act": "relu",
        "pool": "global_avg_pool",
    }
    rule = {"use": entry.name, **place}
    if entry.inputs[0] > 1:
        rule["from"] = dict.fromkeys(entry.tensors[1:], "./stem")
    spec = {"input": [3, 8, 8], "nodes": nodes}
    if entry.name == "class_attention":
        # It goes where there is a class token.
        spec = {"backbone": "vit_tiny_patch16_224", "vars": {"depth": 2}, "input": [3, 32, 32]}
        rule["replace"] = "mixer"
        del rule["after"]
    check({**spec, "attention": [rule]})


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "papers/cbam/resnet50",
        "papers/sk/resnext50_32x4d",
        "vit_base_patch16_224",
        "convnext_tiny",
        "shufflenet_v2_x1_0",
    ],
)
def test_whole_networks(name):
    check(name)


def test_by_hand():
    nodes = {
        "conv": {"op": "conv2d", "out_channels": 2, "kernel_size": 3},
        "bn": "batch_norm",
        "act": "relu",
        "flat": "flatten",
        "fc": {"op": "linear", "out_features": 5},
        "sigmoid": "sigmoid",
    }
    graph = composer.graph({"input": [3, 4, 4], "nodes": nodes})
    # The convolution keeps the network's input, which is not counted. The norm keeps the convolution's output, the
    # activation the norm's, which it has overwritten and whose view the linear layer keeps; the sigmoid its own.
    size = 4 * 2 * 4 * 4
    found = activation_memory(graph.root)
    assert {path: found[path] for path in nodes} == {
        "conv": size,
        "bn": size,
        "act": 0,
        "flat": 0,
        "fc": 0,
        "sigmoid": 4 * 5,
    }


def test_nothing_is_kept_where_nothing_is_learnt():
    graph = composer.graph({"input": [3, 4, 4], "nodes": {"act": "relu", "two": {"op": "mul", "from": ["act", "act"]}}})
    assert sum(activation_memory(graph.root).values()) == 0


def test_indices_and_masks_count_with_their_own_width():
    nodes = {
        "conv": {"op": "conv2d", "out_channels": 2, "kernel_size": 1},
        "pool": {"op": "max_pool", "kernel_size": 2, "stride": 2, "padding": 0},
        "drop": {"op": "dropout", "p": 0.5},
    }
    found = activation_memory(composer.graph({"input": [3, 4, 4], "nodes": nodes}).root)
    assert found["pool"] == 8 * 2 * 2 * 2
    # A mask of the CPU's dropout is one more float for each number.
    assert found["drop"] == check({"input": [3, 4, 4], "nodes": nodes}) - found["conv"] - found["pool"]


def test_an_operation_that_cannot_be_traced_is_named():
    @composer.layer("overwrites_a_leaf_in_test")
    class Overwrites(nn.Module):
        """In place on a parameter, which autograd refuses."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale.mul_(2)

    graph = composer.graph({"input": [3, 4, 4], "nodes": {"odd": "overwrites_a_leaf_in_test"}})
    with pytest.raises(Unknown, match=r"^`odd` cannot be traced: RuntimeError: a leaf Variable"):
        activation_memory(graph.root)
    summary = graph.summary()
    assert summary.cost.memory is None
    assert summary.to_json()["memory"] is None
    assert "memory is not known: `odd`" in str(summary)
    assert summary.cost.parameters == 1
