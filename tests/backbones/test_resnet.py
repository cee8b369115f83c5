"""ResNet and ResNeXt beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import check_features, check_grey, check_input, check_parity, randomised
from timm.models.resnet import BasicBlock, Bottleneck, ResNet

import composer

# What timm's networks have. Xie et al. 2017 say 25.0 M of ResNeXt-50 (table 1); He et al. 2016 say nothing.
PARAMETERS = {
    "resnet10": 5_418_792,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x4d": 44_177_704,
}


def test_resnet10():
    check_parity("resnet10", lambda: ResNet(BasicBlock, (1, 1, 1, 1)))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_parity(name):
    graph, peer = check_parity(name, lambda: timm.create_model(name))
    check_features(graph, peer.num_features)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet34", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x4d"])
def test_parity_of_the_large(name):
    check_parity(name, lambda: timm.create_model(name))


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_parameters(name, parameters):
    assert composer.graph(name).num_parameters == parameters


def test_inputs():
    for name in PARAMETERS:
        check_input(name, name if name != "resnet10" else "resnet18")


def test_grey_images():
    check_grey("resnet50")


def test_stride_in_1x1_has_the_same_weights_and_smaller_maps():
    """timm's with the strides of its blocks moved by hand."""
    peer = randomised(ResNet(Bottleneck, (1, 2, 1, 1))).eval()
    for stage in (peer.layer2, peer.layer3, peer.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    vars = {"depths": [1, 2, 1, 1]}
    ours = composer.build("resnet50", vars=vars | {"stride_in_1x1": True}).eval()
    ours.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(ours(images), peer(images))
    assert ours.graph.num_macs < composer.graph("resnet50", vars=vars).num_macs
