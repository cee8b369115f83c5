"""The composed graph: flat form, counts, several inputs and outputs, and what it says before training."""

from __future__ import annotations

import json

import networkx as nx
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import composer

RULE = {"use": "bam", "after": "stage", "where": "not last"}


def test_the_flat_graph_is_the_data_flow() -> None:
    graph = composer.graph({"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]})
    flat = graph.networkx()
    assert nx.is_directed_acyclic_graph(flat)
    assert set(flat) == {"input"} | {node.path for node, _ in graph.operations}
    assert list(flat.successors("layer1.0.bn2")) == ["layer1.0.se"]
    assert flat.edges["layer1.0.se", "layer1.0.add"]["index"] == [0]
    # Without a projection, the shortcut is the block's input.
    assert flat.edges["maxpool", "layer1.0.add"]["index"] == [1]
    assert flat.nodes["layer2.0.conv1"]["options"] == {"out_channels": 128, "kernel_size": 3, "stride": 2}
    assert flat.nodes["layer2.0.conv1"]["shape"] == (128, 28, 28)
    assert flat.nodes["layer1.0.se"]["rule"] == 0
    assert flat.nodes["conv1"]["line"].endswith(tuple("0123456789"))
    assert sum(data.get("parameters", 0) for _, data in flat.nodes(data=True)) == graph.num_parameters
    assert json.loads(json.dumps(graph.to_json()))["parameters"] == graph.num_parameters


def test_one_node_that_takes_another_twice() -> None:
    graph = composer.graph({"input": [3, 4, 4], "nodes": {"act": "relu", "sum": {"op": "add", "from": ["act", "act"]}}})
    assert graph.networkx().edges["act", "sum"]["index"] == [0, 1]
    x = torch.randn(1, 3, 4, 4)
    model = composer.build({"input": [3, 4, 4], "nodes": {"act": "relu", "sum": {"op": "add", "from": ["act", "act"]}}})
    assert torch.equal(model(x), 2 * x.relu())


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "vit_base_patch16_224", "papers/mhsa/resnet50"])
def test_macs_are_those_of_the_whole_network_run_at_once(name) -> None:
    graph = composer.graph(name)
    model = composer.build(name).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    assert graph.num_macs == counter.get_total_flops() // 2


def test_macs_by_hand() -> None:
    nodes = {
        "conv": {"op": "conv2d", "out_channels": 6, "kernel_size": 3, "stride": 2, "groups": 3},
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 5},
    }
    graph = composer.graph({"input": [3, 8, 8], "nodes": nodes})
    assert dict(graph.macs) == {"conv": 6 * 1 * 9 * 16, "pool": 0, "fc": 30}


def test_rules_say_what_they_added_and_the_sums_agree() -> None:
    rules = [{"use": "se", "after": "branch"}, {"use": "sk", "replace": "spatial_conv", "where": "stage == 4"}]
    graph = composer.graph({"backbone": "resnet18", "attention": rules})
    assert [len(one.places) for one in graph.added] == [8, 4]
    grown = graph.num_parameters - graph.plain.num_parameters
    assert sum(one.parameters for one in graph.added) == grown
    assert sum(one.macs for one in graph.added) == graph.num_macs - graph.plain.num_macs


def test_features_at_several_scales_leave_the_head_out() -> None:
    spec = {"backbone": "resnet18", "outputs": {"c3": "layer2", "c4": "layer3"}}
    model = composer.build(spec)
    assert not any(name.startswith(("layer4", "fc")) for name in model.state_dict())
    found = model(torch.randn(1, 3, 64, 64))
    assert {name: tuple(y.shape) for name, y in found.items()} == {"c3": (1, 128, 8, 8), "c4": (1, 256, 4, 4)}
    assert {name: tensor.shape[1:] for name, tensor in model.graph.outputs.items()} == {
        "c3": (128, 28, 28),
        "c4": (256, 14, 14),
    }


def test_several_inputs_and_a_block_with_several_of_each() -> None:
    spec = {
        "inputs": {"left": {"shape": [4, 6, 6]}, "right": {"shape": [4, 6, 6]}},
        "blocks": {
            "cross": {
                "inputs": ["a", "b"],
                "nodes": {
                    "sum": {"op": "add", "from": ["a", "b"]},
                    "product": {"op": "mul", "from": ["a", "b"]},
                },
                "outputs": {"total": "sum", "scaled": "product"},
            }
        },
        "nodes": {
            "cross": {"block": "cross", "from": ["left", "right"]},
            "out": {"op": "concat", "from": ["cross.total", "cross.scaled", "left"]},
        },
    }
    a, b = torch.randn(2, 1, 4, 6, 6).unbind(0)
    assert torch.equal(composer.build(spec)(a, b), torch.cat([a + b, a * b, a], 1))


def test_a_batch_of_one_is_refused_before_training() -> None:
    graph = composer.graph({"backbone": "resnet50", "attention": [RULE]})
    assert len(graph.refusing_one) == 3
    assert "more than 1 value per channel" in next(iter(graph.refusing_one.values()))
    assert not composer.graph({"backbone": "resnet50", "attention": [{**RULE, "with": {"norm": "layer"}}]}).refusing_one
