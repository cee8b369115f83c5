"""Hiera beside timm's, which sorts its tokens by windows where ours keeps maps."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_exact_gradients, check_input, check_outputs, randomised

import composer

# Parameters and multiply-adds as the paper's table 11 states them.
SIZES = {"hiera_tiny_224": (12, 27.9, 4.9), "hiera_small_224": (16, 35.0, 6.4)}


# At 64 the last stage has a map of 2x2; 96 has windows that are not a power of two many.
@pytest.mark.parametrize("side", [64, pytest.param(96, marks=pytest.mark.slow)])
def test_parity_and_gradients(side):
    peer = randomised(timm.create_model("hiera_tiny_224", img_size=side, num_classes=7))
    ours = composer.build({"backbone": "hiera_tiny_224", "input": [3, side, side], "vars": {"num_classes": 7}})
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in peer.state_dict().items()
    }
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    for training in (False, True):
        check_outputs(ours.train(training), peer.train(training), images, exact=False)
    check_exact_gradients(ours, peer, images)


@pytest.mark.parametrize("name", SIZES)
def test_counts_sites_and_input(name):
    blocks, million, giga = SIZES[name]
    graph = check_count(name, lambda: timm.create_model(name))
    assert graph.num_parameters / 1e6 == pytest.approx(million, abs=0.1)
    assert graph.num_macs / 1e9 == pytest.approx(giga, abs=0.1)
    found = graph.places.sites
    assert found["mlp"] == found["block"] == found["branch"] / 2 == blocks
    # Attention that makes the map smaller is not one that another could replace.
    assert found["mixer"] == blocks - 3
    assert (found["stem"], found["features"], found["head"]) == (1, 1, 1)
    assert [(level.channels, level.reduction) for level in graph.levels] == [(96, 4), (192, 8), (384, 16), (768, 32)]
    check_input(name, name)


def test_attention_goes_into_it():
    spec = {
        "backbone": "hiera_tiny_224",
        "input": [3, 64, 64],
        "vars": {"num_classes": 5},
        "attention": [{"use": "se", "after": "mlp", "start": "identity", "expect": 12}],
    }
    model = composer.build(spec)
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
