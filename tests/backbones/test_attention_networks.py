"""Networks that are a backbone and an attention: SKNet, BoTNet, NLNet, SASA-ResNet, beside timm and their papers."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_features, check_grey, check_input, check_num_classes, check_parity

import composer
from composer.errors import ComposerError


def test_skresnext_is_timms():
    name = "skresnext50_32x4d"
    graph, peer = check_parity(name, lambda: timm.create_model(name), exact=False)
    check_features(graph, peer.num_features)
    check_input(name, name)
    check_grey(name)


# Millions of parameters and GFLOPs in the README of the authors' repository. For the deeper one they print 48.9 M, and
# 44.3 M for plain ResNeXt-101, which has 44.18 M; ours is 48.74 M.
@pytest.mark.parametrize(
    ("name", "millions", "billions"),
    [("sknet50", 27.5, 4.47), ("skresnext50_32x4d", 27.5, 4.47), ("sknet101", 48.7, 8.46)],
)
def test_sknets_have_the_published_size(name, millions, billions):
    graph = composer.graph(name)
    assert round(graph.num_parameters / 1e6, 1) == millions
    assert graph.num_macs / 1e9 == pytest.approx(billions, rel=0.005)


# Srinivas et al. 2021, cut off after the first decimal as the 25.5 of ResNet-50 is; Ramachandran et al. 2019, table 1.
@pytest.mark.parametrize(("name", "millions"), [("botnet50", 20.8), ("sasa_resnet50", 18.0)])
def test_published_parameters(name, millions):
    assert composer.graph(name).num_parameters // 10**5 / 10 == millions


def test_nlnet_has_four_products_more_in_five_blocks():
    """4 c c/2, biases of 3 c/2 + c and a norm of 2c, twice at 512 channels and three times at 1024."""
    plain = composer.graph("resnet50").num_parameters
    added = sum(count * (2 * c * c + 3 * c // 2 + 3 * c) for c, count in ((512, 2), (1024, 3)))
    graph = composer.graph("nlnet50")
    assert graph.num_parameters == plain + added
    # Every second block, as in the authors' code.
    for stage, blocks in (("layer2", "13"), ("layer3", "135")):
        units = graph.root.nodes[stage].content.nodes.values()
        assert [unit.name for unit in units if "out_nl" in unit.content.nodes] == list(blocks)


def test_nlnet_starts_as_resnet():
    plain, ours = composer.build("resnet50").eval(), composer.build("nlnet50").eval()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(images), plain(images))


def test_botnet_halves_the_map_behind_its_attention_or_not_at_all():
    maps = {}
    for name in ("botnet50", "botnet_s1_50"):
        graph = composer.graph(name)
        first = graph.root.nodes["layer4"].content.nodes["0"].content.nodes["conv2"]
        maps[name] = (first.content.arguments["height"], first.tensor.shape[2], graph.num_parameters)
    tables = 2 * 2 * (27 - 13) * 128  # two more blocks with 14 rows and columns instead of 7
    assert maps["botnet50"][:2] == (14, 7)
    assert maps["botnet_s1_50"] == (14, 14, maps["botnet50"][2] + tables)


def test_botnet_trains_on_small_images():
    model = composer.build({"backbone": "botnet50", "input": {"shape": [3, 64, 64]}, "vars": {"num_classes": 4}})
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_sasa_refuses_maps_smaller_than_its_window():
    with pytest.raises(ComposerError, match="window=7 is larger than the map 6×6; use 5 or less"):
        composer.graph({"backbone": "sasa_resnet50", "input": {"shape": [3, 192, 192]}})


@pytest.mark.parametrize("name", ["sknet50", "botnet50", "nlnet50", "sasa_resnet50"])
def test_classifier_and_features(name):
    graph = composer.graph(name)
    check_num_classes(name, graph)
    check_features(graph, 2048)
