"""NFNet-F0 beside timm's two: DeepMind's own, and the one with even padding and without the gain of the branch."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_features, check_input, check_parity

import composer


@pytest.mark.parametrize("name", ["dm_nfnet_f0", pytest.param("nfnet_f0", marks=pytest.mark.slow)])
def test_parity(name):
    graph, peer = check_parity(name, lambda: timm.create_model(name))
    check_features(graph, peer.num_features)


def test_inputs():
    for name in ("dm_nfnet_f0", "nfnet_f0"):
        check_input(name, name)


def test_published_parameters():
    """Brock et al. 2021, table 3; and without the gains of 12 branches."""
    graph = composer.graph("dm_nfnet_f0")
    assert round(graph.num_parameters / 1e6, 1) == 71.5
    assert composer.graph("nfnet_f0").num_parameters == graph.num_parameters - 12


def test_grey_images():
    """Of the first convolution's weights two thirds go: 2 x 3 x 3 of each of 16."""
    grey = composer.graph({"backbone": "dm_nfnet_f0", "input": {"shape": [1, 96, 96], "mean": [0.5], "std": [0.5]}})
    assert grey.num_parameters == composer.graph("dm_nfnet_f0").num_parameters - 2 * 9 * 16


@pytest.mark.parametrize("name", ["dm_nfnet_f0", "nfnet_f0"])
def test_branches_start_at_zero(name):
    """In the second block of a stage, which has no projection, a fresh network gives on what it takes."""
    vars = {"depths": [1, 2, 1, 1], "num_classes": 0}
    block = composer.build(name, vars=vars).get_submodule("stages.1.1")
    x = torch.randn(1, 512, 4, 4)
    assert torch.equal(block(x), x)
