"""ResNets with a tiered stem, and the networks with halo attention and lambda layers on them, beside timm's."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from backbones.peers import check_count, check_input, check_num_classes, check_outputs, randomised
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
from torch import Tensor, nn

import composer
from composer.weights.keys import read_key_map

TIERED: dict[str, dict[str, Any]] = {
    "resnet26_tiered": {"depths": (2, 2, 2, 2), "act": "relu"},
    "resnet50_tiered": {"depths": (3, 4, 6, 3), "act": "silu"},
}
# Paths of the mechanisms. timm's maps must be whole blocks of 8, so that HaloNet's images are of 256.
PLACES = {
    "halonet50ts": ["1.3", "2.1", "2.3", "2.5", "3.1"],
    "lambda_resnet26t": ["2.1", "3.0", "3.1"],
    "lambda_resnet50ts": ["1.3", "2.1", "2.3", "2.5", "3.1"],
}
# Their names are ours, so that the map that gives a tensor another shape is asked for.
KEYS = {"lambda_resnet26t": "timm_lambda_resnet", "lambda_resnet50ts": "timm_lambda_resnet"}


def tiered(depths: tuple[int, ...], act: str) -> nn.Module:
    """The network that timm's builder makes of the same blocks, all of them bottlenecks; timm names none such."""
    blocks = [
        ByoBlockCfg(type="bottle", d=depth, c=256 * 2**index, s=1 if index == 0 else 2, gs=0, br=0.25)
        for index, depth in enumerate(depths)
    ]
    return ByobNet(ByoModelCfg(tuple(blocks), stem_chs=64, stem_type="tiered", stem_pool="maxpool", act_layer=act))


def settled(model: nn.Module, images: Tensor) -> nn.Module:
    """Random weights, and running statistics that are those of these images: without, signals explode."""
    for module in randomised(model).modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return model


def images_of(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", TIERED)
def test_the_hosts(name):
    images = images_of(64)
    peer, ours = settled(tiered(**TIERED[name]), images), composer.build(name)
    ours.load_state_dict(peer.state_dict())
    for training in (False, True):
        check_outputs(ours.train(training), peer.train(training), images)
    check_num_classes(name, ours.graph)
    assert [level.reduction for level in ours.graph.levels] == [4, 8, 16, 32]


@pytest.mark.parametrize("name", PLACES)
def test_parity(name):
    images = images_of(256 if name.startswith("halonet") else 96)
    peer, ours = settled(timm.create_model(name), images), composer.build(name)
    report = composer.load_weights(ours, peer.state_dict(), require="all", keys=KEYS.get(name))
    assert report.keys == KEYS.get(name, "timm_halonet")
    for training in (False, True):
        check_outputs(ours.train(training), peer.train(training), images, exact=False)


@pytest.mark.parametrize("name", ["lambda_resnet26t"])
def test_gradients(name):
    images = images_of(64)
    peer, ours = settled(timm.create_model(name), images), composer.build(name)
    composer.load_weights(ours, peer.state_dict(), require="all", keys=KEYS[name])
    found, wanted = (exact_gradients(model, images) for model in (ours, peer))
    rename = read_key_map(KEYS[name]).rename
    assert found.keys() == {rename(key) for key in wanted}
    for key, its in wanted.items():
        mine = found[rename(key)]
        assert (mine - its.reshape(mine.shape)).abs().max() <= 1e-9 * its.abs().max(), key


def exact_gradients(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    model.double().train()(images.double()).square().mean().backward()
    return {key: parameter.grad for key, parameter in model.named_parameters()}


@pytest.mark.parametrize("name", PLACES)
def test_counts_places_and_input(name):
    graph = check_count(name, lambda: timm.create_model(name))
    assert [place.node.path for place in graph.places.select("mixer")] == [
        f"stages.{place}.self_attn" for place in PLACES[name]
    ]
    found = graph.places.sites
    assert found["spatial_conv"] + found["mixer"] == found["branch"] == found["block"]
    assert (found["stem"], found["stage"], found["head"]) == (1, 4, 1)
    check_input(name, name)
