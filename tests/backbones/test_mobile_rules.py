"""One attention of each sort on each family of small networks: its places, its weights, a step of training."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch

import composer

BACKBONES = [
    "efficientnet_b0",
    "efficientnet_lite0",
    "efficientnetv2_s",
    "mobilenetv1_100",
    "mobilenetv2_050",
    "mobilenetv3_small_100",
    "semnasnet_100",
    "shufflenet_v1_x1_0_g3",
    "shufflenet_v2_x0_5",
]


def spec(name, *rules):
    small = {"backbone": name, "vars": {"num_classes": 4}, "input": {"shape": [3, 32, 32]}}
    return small | {"attention": list(rules)}


@cache
def plain_graph(name):
    return composer.graph(spec(name))


def plain_and_composed(name, rule):
    return plain_graph(name), composer.build(spec(name, rule))


def train_a_step(model):
    generator = torch.Generator().manual_seed(3)
    model(torch.randn(2, 3, 32, 32, generator=generator)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def tagged(graph, site):
    return [place for place in graph.places if site in place.node.sites]


@pytest.mark.parametrize("name", BACKBONES)
def test_se_behind_each_branch(name):
    plain, model = plain_and_composed(name, {"use": "se", "after": "branch", "with": {"reduction": 4}})
    branches = tagged(plain, "branch")
    assert [path.rpartition(".")[0] for path in model.graph.inserted] == [
        place.node.path.rpartition(".")[0] for place in branches
    ]
    widths = [place.node.tensor.channels for place in branches]
    cost = sum(2 * c * (c // 4) + c + c // 4 for c in widths)
    assert model.graph.num_parameters == plain.num_parameters + cost
    train_a_step(model)


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnetv2_s", "mobilenetv3_small_100", "semnasnet_100"])
def test_eca_in_place_of_the_native_gate(name):
    plain, model = plain_and_composed(name, {"use": "eca", "replace": "gate"})
    gates = tagged(plain, "gate")
    assert list(model.graph.inserted) == [place.node.path for place in gates]
    cost = 0
    for place in gates:
        taps = int((math.log2(place.node.tensor.channels) + 1) / 2)
        cost += taps + 1 - taps % 2 - place.node.content.num_parameters
    assert model.graph.num_parameters == plain.num_parameters + cost
    train_a_step(model)


@pytest.mark.parametrize("name", ["shufflenet_v1_x1_0_g3", "shufflenet_v2_x0_5"])
def test_sk_in_place_of_each_depthwise_convolution(name):
    plain, model = plain_and_composed(name, {"use": "sk", "replace": "spatial_conv", "expect": 16})
    # Two branches of 9 c weights and a norm, a squeeze to 32 or c / 16 with its norm, and two rows for each channel.
    cost = 0
    for place in tagged(plain, "spatial_conv"):
        c = place.node.tensor.channels
        d = max(c // 16, 32)
        cost += 2 * (9 * c + 2 * c) + c * d + 2 * d + 2 * c * d - (9 * c + 2 * c)
    assert model.graph.num_parameters == plain.num_parameters + cost
    train_a_step(model)


@pytest.mark.parametrize(
    ("mechanism", "name", "convolutions", "count"),
    [
        ("condconv", "efficientnet_b0", "blocks.**.conv_*", 47),
        ("condconv", "mobilenetv1_100", "blocks.**.conv_*", 26),
        ("condconv", "semnasnet_100", "blocks.**.conv_*", 47),
        ("dynconv", "mobilenetv2_050", "blocks.**.conv_*", 50),
        ("dynconv", "mobilenetv3_small_100", "blocks.**.conv_*", 32),
        ("dynconv", "shufflenet_v1_x1_0_g3", "stage*.*.conv[123]", 48),
        ("dynconv", "shufflenet_v2_x0_5", "stage*.*.branch2.[035]", 48),
    ],
)
def test_experts_in_place_of_the_convolutions(mechanism, name, convolutions, count):
    rule = {"use": mechanism, "replace": convolutions, "with": {"num_experts": 2}, "expect": count}
    plain, model = plain_and_composed(name, rule)
    operations = {node.path: (node.content.num_parameters, inputs) for node, inputs in plain.operations}
    cost = 0
    for path in model.graph.inserted:
        weights, (tensor,) = operations[path]
        assert model.get_parameter(f"{path}.weight").shape == (2, weights)
        c = tensor.channels
        hidden = max(1, c // 4)
        cost += weights + (2 * c + 2 if mechanism == "condconv" else c * hidden + hidden + 2 * hidden + 2)
    assert model.graph.num_parameters == plain.num_parameters + cost
    train_a_step(model)
