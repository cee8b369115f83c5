"""FocalNet beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_input, check_num_classes, check_outputs, randomised

import composer

# Blocks, and millions of parameters and billions of multiply-accumulates as the authors' README prints them.
SIZES = {
    "focalnet_tiny_srf": (12, 28.4, 4.4),
    "focalnet_tiny_lrf": (12, 28.6, 4.5),
    "focalnet_small_srf": (24, 49.9, 8.6),
    "focalnet_small_lrf": (24, 50.3, 8.7),
    "focalnet_base_srf": (24, 88.1, 15.3),
    "focalnet_base_lrf": (24, 88.7, 15.4),
}


@pytest.mark.parametrize("name", ["focalnet_tiny_srf", "focalnet_tiny_lrf"])
def test_parity(name):
    peer = randomised(timm.create_model(name, drop_path_rate=0.0))
    ours = composer.build(name)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in peer.state_dict().items()
    }
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    for training in (False, True):
        check_outputs(ours.train(training), peer.train(training), images)
    check_num_classes(name, composer.graph(name))


@pytest.mark.parametrize("name", SIZES)
def test_counts_sites_and_input(name):
    blocks, million, giga = SIZES[name]
    graph = check_count(name, lambda: timm.create_model(name))
    assert graph.num_parameters / 1e6 == pytest.approx(million, abs=0.05)
    assert graph.num_macs / 1e9 == pytest.approx(giga, abs=0.1)
    found = graph.places.sites
    assert found["mixer"] == found["mlp"] == found["block"] == found["branch"] / 2 == blocks
    assert (found["stem"], found["stage"], found["head"]) == (1, 4, 1)
    assert [level.reduction for level in graph.levels] == [4, 8, 16, 32]
    check_input(name, name)


def test_attention_goes_in_place_of_the_modulation():
    spec = {
        "backbone": "focalnet_tiny_srf",
        "input": [3, 64, 64],
        "vars": {"num_classes": 5, "depths": [1, 1, 1, 1]},
        "attention": [{"use": "mhsa", "replace": "mixer", "expect": 4}],
    }
    model = composer.build(spec)
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
