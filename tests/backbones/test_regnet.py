"""RegNetX and RegNetY beside timm's: the widths of all of them, and their outputs."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_features, check_grey, check_input, check_parity
from timm.models.regnet import adjust_widths_groups_comp, generate_regnet, model_cfgs

import composer

# Millions of parameters, Radosavovic et al. 2020, tables 8 and 9.
PUBLISHED = {
    "regnetx_002": 2.7,
    "regnetx_004": 5.2,
    "regnetx_008": 7.3,
    "regnetx_016": 9.2,
    "regnetx_032": 15.3,
    "regnety_002": 3.2,
    "regnety_004": 4.3,
    "regnety_008": 6.3,
    "regnety_016": 11.2,
    "regnety_032": 19.4,
    "regnety_040": 20.6,
    "regnety_080": 39.2,
    "regnety_160": 83.6,
}
# The networks of the paper that timm writes down, whether the zoo has a member of that name or not.
PAPERS = [name for name in model_cfgs if name[:8] in ("regnetx_", "regnety_") and len(name) == 11]


SMALL = ["regnetx_002", "regnety_004"]


@pytest.mark.parametrize("name", SMALL)
def test_parity(name):
    graph, peer = check_parity(name, lambda: timm.create_model(name))
    check_features(graph, peer.num_features)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in SMALL])
def test_parity_of_the_large(name):
    check_parity(name, lambda: timm.create_model(name))


@pytest.mark.parametrize(("name", "millions"), PUBLISHED.items())
def test_published_parameters(name, millions):
    assert round(composer.graph(name).num_parameters / 1e6, 1) == millions


def test_inputs():
    for name in PUBLISHED:
        check_input(name, name)


def test_grey_images():
    check_grey("regnety_004")


@pytest.mark.parametrize("name", PAPERS)
def test_widths_depths_and_groups_follow_from_the_four_numbers(name):
    config = model_cfgs[name]
    widths, num_stages, groups = generate_regnet(config.wa, config.w0, config.wm, config.depth, config.group_size)
    stages, depths = torch.unique(torch.tensor(widths), return_counts=True)
    stages, groups = adjust_widths_groups_comp(stages.tolist(), [1.0] * num_stages, groups)
    vars = {"w0": config.w0, "wa": config.wa, "wm": config.wm, "depth": config.depth, "group_width": config.group_size}
    nodes = composer.graph("regnet", vars=vars).root.nodes
    found = [(len(node.content.nodes), node.tensor.channels) for node in nodes.values() if "stage" in node.sites]
    assert found == list(zip(depths.tolist(), stages, strict=True))
    convolutions = [nodes[f"s{number + 1}"].content.nodes["b1"].content.nodes["conv2"] for number in range(num_stages)]
    assert [conv.content.nodes["conv"].content.arguments["groups"] for conv in convolutions] == [
        width // group for width, group in zip(stages, groups, strict=True)
    ]
