"""VGG beside timm's."""

from __future__ import annotations

import pytest
import timm
import torch
from backbones.peers import (
    check_features,
    check_grey,
    check_input,
    check_outputs,
    check_parity,
    randomised,
)
from timm.layers import ClassifierHead
from timm.models.vgg import ConvMlp

import composer

# Without batch norm: millions of parameters, Simonyan & Zisserman, table 2.
SIZES = {
    "vgg11": (132_863_336, 133),
    "vgg13": (133_047_848, 133),
    "vgg16": (138_357_544, 138),
    "vgg19": (143_667_240, 144),
    "vgg11_bn": (132_868_840, None),
    "vgg13_bn": (133_053_736, None),
    "vgg16_bn": (138_365_992, None),
    "vgg19_bn": (143_678_248, None),
}
HIDDEN = 64


def create(name):
    return lambda: timm.create_model(name)


def create_narrow(name):
    """The peer with a narrow classifier: the hidden layers hold nine tenths of the parameters."""
    with torch.device("meta"):
        peer = timm.create_model(name)
    peer.pre_logits = ConvMlp(512, HIDDEN, 7, drop_rate=0.0)
    peer.head = ClassifierHead(HIDDEN, 1000)
    peer.features.to_empty(device="cpu")
    return peer


def narrow(name):
    return {"backbone": name, "vars": {"hidden": HIDDEN}}


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
def test_parity_with_a_narrow_classifier(name):
    check_parity(narrow(name), lambda: create_narrow(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_parity(name):
    check_parity(name, create(name))


@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_input_are_the_peers_and_the_papers(name):
    parameters, millions = SIZES[name]
    graph = composer.graph(name)
    assert graph.num_parameters == parameters
    assert millions is None or round(parameters / 1e6) == millions
    check_input(name, name)


@pytest.mark.parametrize("size", [(32, 32), (300, 96)])
def test_maps_of_other_sizes_than_seven_are_stretched_or_averaged(size):
    peer, ours = randomised(create_narrow("vgg11")).eval(), composer.build(narrow("vgg11")).eval()
    ours.load_state_dict(peer.state_dict())
    check_outputs(ours, peer, torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2)))


def test_features_and_grey_images():
    check_features(composer.graph("vgg16"), create("vgg16")().num_features)
    check_grey("vgg16", 224)


def test_stages_end_before_their_pooling():
    places = composer.graph("vgg16_bn").places
    stages = places.select("stage")
    assert [place.node.op for place in stages] == 5 * ["relu"]
    assert [place.node.path for place in stages] == [
        "features.5",
        "features.12",
        "features.22",
        "features.32",
        "features.42",
    ]
    assert [place.stage for place in places.select("block")] == [1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert [place.block for place in places.select("block")] == [1, 2, 1, 2, 1, 2, 3, 1, 2, 3, 1, 2, 3]
    convolutions = [place for place in places if place.node.op == "conv2d" and place.node.path.startswith("features")]
    assert [place.stage for place in convolutions] == [1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert list(places.select("stem")) == convolutions[:1]
    assert list(places.select("spatial_conv")) == convolutions[1:]
