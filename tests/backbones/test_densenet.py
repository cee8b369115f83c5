"""DenseNet beside timm's."""

from __future__ import annotations

import pytest
import timm
from backbones.peers import check_features, check_grey, check_input, check_parity

import composer

SIZES = {"densenet121": 7_978_856, "densenet161": 28_681_000, "densenet169": 14_149_480, "densenet201": 20_013_928}
LARGER_ARE_SLOW = ["densenet121", *(pytest.param(name, marks=pytest.mark.slow) for name in [*SIZES][1:])]


def create(name):
    return lambda: timm.create_model(name)


@pytest.mark.parametrize("name", LARGER_ARE_SLOW)
def test_parity(name):
    check_parity(name, create(name))


@pytest.mark.parametrize("name", LARGER_ARE_SLOW)
def test_parameters_and_input_are_the_peers(name):
    assert composer.graph(name).num_parameters == SIZES[name]
    check_input(name, name)


def test_features_and_grey_images():
    check_features(composer.graph("densenet121"), create("densenet121")().num_features)
    check_grey("densenet121")


def test_cost_and_places():
    graph = composer.graph("densenet121")
    assert graph.num_macs == pytest.approx(2.834e9, abs=1e6)
    counts = {"stem": 1, "stage": 4, "block": 58, "spatial_conv": 58, "branch": 58, "level": 1, "head": 1}
    assert graph.places.sites == counts
    assert {place.node.tensor.channels for place in graph.places.select("branch")} == {32}
    assert [place.node.tensor.channels for place in graph.places.select("stage")] == [256, 512, 1024, 1024]
