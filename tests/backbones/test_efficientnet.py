"""EfficientNet, EfficientNet-Lite and EfficientNetV2 beside timm's."""

from __future__ import annotations

import pytest
import timm
from backbones.peers import check_count, check_features, check_grey, check_input, check_parity, check_published

import composer

# Parameters, and the millions of parameters and MACs that Tan & Le state: 2019, table 2, and 2021, table 7.
SIZES = {
    "efficientnet_b0": (5_288_548, 5.3, 390),
    "efficientnet_b1": (7_794_184, 7.8, 700),
    "efficientnet_b2": (9_109_994, 9.2, 1000),
    "efficientnet_b3": (12_233_232, 12, 1800),
    "efficientnet_b4": (19_341_616, 19, 4200),
    "efficientnet_b5": (30_389_784, 30, 9900),
    "efficientnet_b6": (43_040_704, 43, 19_000),
    "efficientnet_b7": (66_347_960, 66, 37_000),
    "efficientnetv2_s": (21_458_488, 22, None),
    "efficientnet_lite0": (4_652_008, None, None),
}
# Images of the paper, where those of timm's weights have another size.
IMAGES = {"efficientnet_b2": 260, "efficientnet_b3": 300, "efficientnet_b4": 380, "efficientnet_b5": 456}
SMALL = {"efficientnet_b0": 1280, "efficientnet_lite0": 1280, "efficientnetv2_s": 1280}
LARGE = [name for name in SIZES if name not in SMALL]


def create(name):
    return lambda: timm.create_model(name)


@pytest.mark.parametrize("name", SMALL)
def test_parity(name):
    graph, peer = check_parity(name, create(name), size=32 if name == "efficientnetv2_s" else 64)
    check_features(graph, peer.num_features)
    parameters, *published = SIZES[name]
    assert graph.num_parameters == parameters
    check_published(graph, *published)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_parity_of_the_larger(name):
    check_parity(name, create(name))


@pytest.mark.parametrize("name", LARGE)
def test_sizes_of_the_larger(name):
    graph = check_count(name, create(name))
    parameters, *published = SIZES[name]
    assert graph.num_parameters == parameters
    size = IMAGES.get(name, graph.root.inputs["input"].shape[-1])
    check_published(composer.graph({"backbone": name, "input": [3, size, size]}), *published)


@pytest.mark.parametrize("name", SIZES)
def test_inputs(name):
    check_input(name, name)


@pytest.mark.parametrize("name", SMALL)
def test_grey_images(name):
    check_grey(name)


def test_v2_fuses_early_and_attends_late():
    places = composer.graph("efficientnetv2_s").places
    assert [place.stage for place in places if "gate" in place.node.sites] == 6 * [4] + 9 * [5] + 15 * [6]
    groups = [place.facts("replace", last=False)["groups"] for place in places if "spatial_conv" in place.node.sites]
    assert groups[:10] == 10 * [1]
    assert min(groups[10:]) > 1
