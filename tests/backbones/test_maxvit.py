"""MaxViT and CoAtNet beside timm's: networks of convolutions and attention with relative positions."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import (
    check_count,
    check_exact_gradients,
    check_input,
    check_outputs,
    check_parity,
    check_published,
)

import composer

SMALL = {
    "maxvit_tiny_rw_224": {"window": 2},
    "coatnet_0_rw_224": {},
}


def resized(name, **vars):
    return {"backbone": name, "input": [3, 64, 64], "vars": {**SMALL[name], **vars}}


@pytest.mark.parametrize("name", SMALL)
def test_parity_and_gradients(name):
    _, peer = check_parity(resized(name), lambda: timm.create_model(name, img_size=64), exact=False)
    ours = composer.build(resized(name))
    ours.load_state_dict(peer.state_dict())
    check_exact_gradients(ours, peer, torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_parity_at_its_own_size(name):
    check_parity(name, lambda: timm.create_model(name), size=224, exact=False, train=False)


@pytest.mark.parametrize(
    ("name", "million", "blocks", "attentions", "wider"),
    [("maxvit_tiny_rw_224", 29.1, 11, 22, 0), ("coatnet_0_rw_224", 27.4, 5, 9, 2)],
)
def test_counts_sites_and_input(name, million, blocks, attentions, wider):
    graph = check_count(name, lambda: timm.create_model(name))
    # In millions, as timm's table of results has them.
    check_published(graph, million, None)
    found = graph.places.sites
    assert (found["spatial_conv"], found["gate"], found["mlp"]) == (blocks, blocks, attentions)
    # Attention that changes the channels is not one that another could replace.
    assert found["mixer"] == attentions - wider
    assert (found["block"], found["branch"]) == (blocks + attentions, blocks + 2 * attentions)
    assert (found["stem"], found["stage"], found["features"], found["head"]) == (1, 4, 1, 1)
    check_input(name, name)


def test_a_network_of_windows_takes_images_of_other_sizes():
    """How many windows there are follows from the map."""
    model = composer.build(resized("maxvit_tiny_rw_224", num_classes=5)).eval()
    larger = composer.build({**resized("maxvit_tiny_rw_224", num_classes=5), "input": [3, 128, 64]}).eval()
    larger.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, 128, 64, generator=torch.Generator().manual_seed(0))
    check_outputs(model, larger, torch.cat([images, -images]))


def test_attention_goes_into_both_kinds_of_blocks():
    rules = [
        {"use": "mhsa", "replace": "mixer", "where": "stage == 4", "with": {"num_heads": 4}},
        {"use": "eca", "replace": "gate", "expect": 11},
        {"use": "cbam", "after": "stage", "expect": 4},
    ]
    model = composer.build({**resized("maxvit_tiny_rw_224", num_classes=5), "attention": rules})
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_compiles_and_exports(name):
    model = composer.build(resized(name, num_classes=4)).eval()
    images = torch.randn(2, 3, 64, 64)
    wanted = model(images)
    assert torch.allclose(torch.fx.symbolic_trace(model)(images), wanted, atol=1e-5)
    assert torch.allclose(torch.export.export(model, (images,)).module()(images), wanted, atol=1e-5)
    assert torch.allclose(torch.compile(model, fullgraph=True, backend="aot_eager")(images), wanted, atol=1e-5)
