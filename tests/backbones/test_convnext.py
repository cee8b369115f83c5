"""ConvNeXt beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_features, check_grey, check_input, check_parity

import composer

# Parameters, and what Liu et al. state in table 1: millions of them, and 1e9 multiply-adds.
SIZES = {
    "convnext_tiny": (28_589_128, 29, 4.5),
    "convnext_small": (50_223_688, 50, 8.7),
    "convnext_base": (88_591_464, 89, 15.4),
    "convnext_large": (197_767_336, 198, 34.4),
}


def create(name):
    return lambda: timm.create_model(name)


@pytest.mark.parametrize(
    "name", ["convnext_tiny", *(pytest.param(one, marks=pytest.mark.slow) for one in [*SIZES][1:])]
)
def test_parity(name):
    check_parity(name, create(name))


@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_input_are_the_peers_and_the_papers(name):
    parameters, millions, macs = SIZES[name]
    graph = composer.graph(name)
    assert graph.num_parameters == parameters
    assert round(parameters / 1e6) == millions
    assert round(graph.num_macs / 1e9, 1) == pytest.approx(macs, abs=0.1)
    check_input(name, name)


def test_features_and_grey_images():
    check_features(composer.graph("convnext_tiny"), create("convnext_tiny")().num_features)
    check_grey("convnext_tiny")


def test_weights_start_as_the_papers():
    model = composer.build("convnext_tiny", vars={"depths": [1, 1, 1, 1], "num_classes": 10})
    unit = model.stages.get_submodule("2.blocks.0")
    for weight in (
        unit.conv_dw.weight,
        unit.mlp.fc1.weight,
        model.stem.get_submodule("0").weight,
        model.head.fc.weight,
    ):
        assert weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not unit.conv_dw.bias.any()
    assert torch.equal(unit.gamma, torch.full_like(unit.gamma, 1e-6))


def test_an_attention_stands_behind_the_layer_scale_or_before_it():
    rule = {"use": "se", "after": "branch", "expect": 18}
    graph = composer.graph({"backbone": "convnext_tiny", "attention": [rule]})
    unit = graph.places.select("branch")[0].scope.nodes
    assert unit["se"].inputs == ("channels_first",)
    assert unit["add"].inputs == ("se", "input")
    graph = composer.graph({"backbone": "convnext_tiny", "attention": [{**rule, "after": "mlp"}]})
    perceptrons = graph.places.select("mlp")
    assert {place.node.tensor.layout for place in perceptrons} == {"b h w c"}
    inside = perceptrons[0].node.content
    assert list(inside.outputs.values()) == ["out_se_channels_last"]
    assert inside.nodes["out_se"].tensor.layout == "b c h w"
