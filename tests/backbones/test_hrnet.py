"""HRNet beside timm's: maps of four scales side by side, fused again and again."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_exact_gradients, check_input, check_parity

import composer

NAME = "hrnet_w18_small"


def test_parity_and_gradients():
    _, peer = check_parity(NAME, lambda: timm.create_model(NAME), size=64)
    ours = composer.build(NAME)
    ours.load_state_dict(peer.state_dict())
    check_exact_gradients(ours, peer, torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)))


@pytest.mark.parametrize(
    "name", ["hrnet_w18_small_v2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("hrnet_w18", "hrnet_w32"))]
)
def test_larger_ones_have_timms_keys(name):
    with torch.device("meta"):
        peer = timm.create_model(name)
    found = composer.build(name, device="meta").state_dict()
    assert {key: value.shape for key, value in found.items()} == {
        key: value.shape for key, value in peer.state_dict().items()
    }


def test_counts_sites_and_input():
    graph = check_count(NAME, lambda: timm.create_model(NAME))
    found = graph.places.sites
    # One before the scales part, then two blocks at each of 2, 3 and 4 scales, and four at the end.
    assert found["block"] == found["branch"] == 1 + 2 * (2 + 3 + 4) + 4
    assert found["stage"] == 1 + 2 + 3 + 4
    assert found["spatial_conv"] == 1 + 2 * 2 * (2 + 3 + 4) + 4
    scales = [(level.channels, level.reduction) for level in graph.levels]
    assert scales[1:] == [(128, 4), (256, 8), (512, 16), (1024, 32)]
    check_input(NAME, NAME)


def test_maps_of_all_scales_and_gates_at_each():
    spec = {
        "backbone": NAME,
        "input": [3, 64, 64],
        "attention": [{"use": "eca", "after": "stage4.*.fuse_layers.*", "expect": 4}, {"use": "se", "after": "branch"}],
        "outputs": {name: f"stage4.{name}" for name in "abcd"},
    }
    maps = composer.build(spec)(torch.randn(2, 3, 64, 64))
    assert [tuple(maps[name].shape[1:]) for name in "abcd"] == [(16, 16, 16), (32, 8, 8), (64, 4, 4), (128, 2, 2)]
