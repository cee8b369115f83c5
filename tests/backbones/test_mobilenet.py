"""MobileNet V1, V2 and V3, and MnasNet, beside timm's."""

from __future__ import annotations

import pytest
import timm
from backbones.peers import check_count, check_features, check_grey, check_input, check_parity, check_published

import composer

# Parameters, and the millions of parameters and MACs that the papers state: Howard et al. 2017, table 8; Sandler et al.
# 2018, table 4; Howard et al. 2019, table 3; Tan et al. 2019, table 1. The 6.9 million parameters stated for
# MobileNetV2 at width 1.4 are more than timm's and torchvision's have; its MACs agree.
SIZES = {
    "mobilenetv1_100": (4_231_976, 4.2, 569),
    "mobilenetv2_050": (1_968_680, None, None),
    "mobilenetv2_100": (3_504_872, 3.4, 300),
    "mobilenetv2_140": (6_108_776, None, 585),
    "mobilenetv3_small_100": (2_542_856, 2.5, 56),
    "mobilenetv3_large_100": (5_483_032, 5.4, 219),
    "semnasnet_100": (3_887_038, 3.9, 312),
    "mnasnet_100": (4_383_312, None, None),
}
LARGE = ["mobilenetv2_100", "mobilenetv2_140"]
SMALL = [name for name in SIZES if name not in LARGE]


def create(name):
    return lambda: timm.create_model(name)


@pytest.mark.parametrize("name", SMALL)
def test_parity(name):
    graph, peer = check_parity(name, create(name))
    check_features(graph, peer.num_features)
    check_input(name, name)
    parameters, *published = SIZES[name]
    assert graph.num_parameters == parameters
    check_published(graph, *published)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_parity_of_the_larger(name):
    check_parity(name, create(name))


@pytest.mark.parametrize("name", LARGE)
def test_sizes_of_the_larger(name):
    check_input(name, name)
    graph = check_count(name, create(name))
    parameters, *published = SIZES[name]
    assert graph.num_parameters == parameters
    check_published(graph, *published)


@pytest.mark.parametrize(
    ("name", "width", "peer"),
    [
        ("mobilenetv1_100", 1.25, "mobilenetv1_125"),
        ("mobilenetv2_100", 0.35, "mobilenetv2_035"),
        ("mobilenetv2_100", 0.75, "mobilenetv2_075"),
        ("mobilenetv3_large_100", 0.75, "mobilenetv3_large_075"),
        ("mobilenetv3_small_100", 0.75, "mobilenetv3_small_075"),
        ("mobilenetv3_small_100", 0.5, "mobilenetv3_small_050"),
        ("mnasnet_100", 0.5, "mnasnet_050"),
        ("semnasnet_100", 1.4, "semnasnet_140"),
    ],
)
def test_other_widths_are_the_peers(name, width, peer):
    check_count(name, create(peer), {"width": width})


@pytest.mark.parametrize("name", ["mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_small_100", "semnasnet_100"])
def test_grey_images(name):
    check_grey(name)


def test_native_attention_of_mobilenetv3_and_mnasnet():
    def stages(name):
        return [place.stage for place in composer.graph(name).places if "gate" in place.node.sites]

    assert stages("mobilenetv3_small_100") == [1, 3, 3, 3, 4, 4, 5, 5, 5]
    assert stages("mobilenetv3_large_100") == [3, 3, 3, 5, 5, 6, 6, 6]
    assert stages("semnasnet_100") == [3, 3, 3, 5, 5, 6, 6, 6]
    assert stages("mnasnet_100") == []


def test_a_block_of_mobilenetv1_ends_behind_its_activation():
    places = composer.graph("mobilenetv1_100").places
    ends = [place.node.tensor.shape[1:3] for place in places if "branch" in place.node.sites]
    assert ends == [
        *((64, 112), (128, 56), (128, 56), (256, 28), (256, 28)),
        *6 * [(512, 14)],
        *2 * [(1024, 7)],
    ]
    assert {place.node.op for place in places if "branch" in place.node.sites} == {"relu6"}
