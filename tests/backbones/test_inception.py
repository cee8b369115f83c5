"""Inception-v3 beside timm's, GoogLeNet beside torchvision's."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
import torchvision
from backbones.peers import check_features, check_grey, check_input, check_parity
from PIL import Image

import composer
from composer.images import input_of, prepare


def googlenet(dropout=0.0):
    return torchvision.models.googlenet(aux_logits=False, init_weights=False, dropout=dropout)


def inception_v3():
    return timm.create_model("inception_v3")


def test_parity():
    check_parity("inception_v3", inception_v3, size=96)


def test_parity_of_googlenet():
    # Dropout would draw other numbers for each of the two.
    check_parity({"backbone": "googlenet", "vars": {"dropout": 0}}, googlenet)
    assert composer.build("googlenet").dropout.p == torchvision.models.googlenet(init_weights=False).dropout.p


def test_parameters_and_input_are_the_peers():
    assert composer.graph("inception_v3").num_parameters == 23_834_568
    check_input("inception_v3", "inception_v3")
    check_features(composer.graph("inception_v3"), inception_v3().num_features)
    weights = torchvision.models.GoogLeNet_Weights.DEFAULT
    assert composer.graph("googlenet").num_parameters == weights.meta["num_params"]
    assert composer.graph("googlenet").num_macs == pytest.approx(weights.meta["_ops"] * 1e9, abs=1e6)
    image, ours = weights.transforms(), composer.load("googlenet").inputs["input"]
    assert ours.shape == [3, *2 * image.crop_size]
    assert ours.crop == image.crop_size[0] / image.resize_size[0]
    assert ours.interpolation == image.interpolation.value


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_a_photograph_gives_torchvisions_logits_with_its_transforms(name):
    model = {"googlenet": torchvision.models.googlenet, "inception_v3": torchvision.models.inception_v3}[name]
    # As its builders make them for weights, untouched.
    peer = model(init_weights=False, transform_input=True).eval()
    ours = composer.build(name).eval()
    composer.load_weights(ours, peer.state_dict())
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (320, 400, 3), dtype=np.uint8))
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    image = input_of(ours)
    size, resize = transforms.crop_size[0], transforms.resize_size[0]
    image = image.model_copy(update={"interpolation": transforms.interpolation.value, "crop": size / resize})
    with torch.no_grad():
        found = ours(prepare(photograph, image, (3, size, size))[None])
        wanted = peer(transforms(photograph)[None])
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_grey_images(name):
    check_grey(name)


def test_stages_end_where_the_map_is_reduced():
    graph = composer.graph("inception_v3")
    places = graph.places
    assert graph.num_macs == pytest.approx(5.713e9, abs=1e6)
    assert places.sites == {"stem": 1, "block": 11, "spatial_conv": 50, "branch": 11, "stage": 3, "head": 1}
    assert [place.node.path for place in places.select("stage")] == ["Mixed_5d", "Mixed_6e", "Mixed_7c"]
    assert [(place.stage, place.block) for place in places.select("block")] == [
        *((1, block) for block in (1, 2, 3)),
        *((2, block) for block in (1, 2, 3, 4, 5)),
        *((3, block) for block in (1, 2, 3)),
    ]
    assert [place.stage for place in places.select("stem")] == [None]
    kernels = [str(place.facts("replace", last=False)["kernel_size"]) for place in places.select("spatial_conv")]
    assert {one: kernels.count(one) for one in set(kernels)} == {
        "3": 13,
        "5": 3,
        "[1, 7]": 13,
        "[7, 1]": 13,
        "[1, 3]": 4,
        "[3, 1]": 4,
    }
