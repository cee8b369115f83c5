"""MobileViT beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_count, check_exact_gradients, check_input, check_parity, check_published, randomised

import composer

# Parameters in millions, as the paper's table 1 states them for the images that timm has.
SIZES = {"mobilevit_xxs": 1.3, "mobilevit_xs": 2.3, "mobilevit_s": 5.6}


@pytest.mark.parametrize(
    ("name", "size"), [("mobilevit_xxs", 64), pytest.param("mobilevit_s", 96, marks=pytest.mark.slow)]
)
def test_parity(name, size):
    check_parity(name, lambda: timm.create_model(name), size=size, exact=False)


def test_maps_that_do_not_divide_into_patches_are_resized_as_timms():
    small = {"backbone": "mobilevit_xxs", "input": [3, 72, 72], "vars": {"num_classes": 5}}
    peer, ours = randomised(timm.create_model("mobilevit_xxs", num_classes=5)), composer.build(small)
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, 72, 72, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(ours.eval()(images), peer.eval()(images), atol=1e-5)
    check_exact_gradients(ours, peer, images)


@pytest.mark.parametrize("name", SIZES)
def test_counts_sites_and_input(name):
    graph = check_count(name, lambda: timm.create_model(name))
    check_published(graph, SIZES[name], None)
    found = graph.places.sites
    # Seven inverted residuals with a branch each, nine blocks of transformers with two.
    assert (found["block"], found["branch"], found["mixer"], found["mlp"]) == (7 + 9, 7 + 18, 9, 9)
    assert (found["stem"], found["stage"], found["features"], found["head"]) == (1, 5, 1, 1)
    assert found["spatial_conv"] == 7 + 2 * 3
    check_input(name, name)


def test_attention_goes_into_both_kinds_of_blocks():
    rules = [
        {"use": "eca", "after": "stage", "expect": 5},
        {"use": "mhsa", "replace": "mixer", "with": {"num_heads": 2}, "expect": 9},
    ]
    spec = {"backbone": "mobilevit_xxs", "input": [3, 64, 64], "vars": {"num_classes": 5}, "attention": rules}
    assert composer.build(spec)(torch.randn(2, 3, 64, 64)).shape == (2, 5)
