"""Names read off a graph are those of the state_dict, in its order."""

from __future__ import annotations

import pytest

import composer
from composer.weights.names import heads, shapes_of

NAMES = ["resnet18", "mobilenetv2_100", "papers/cbam/mobilenetv2_100"]


@pytest.mark.parametrize("name", NAMES)
def test_names_shapes_and_order(name):
    model = composer.build(name)
    assert list(shapes_of(model.graph).items()) == [(key, tuple(t.shape)) for key, t in model.state_dict().items()]


def test_parameters_come_before_what_stands_in_front_of_them():
    vars = {"dim": 48, "depth": 2, "num_heads": 3, "patch": 8, "num_classes": 5}
    model = composer.build({"backbone": "vit_base_patch16_224", "vars": vars, "input": [3, 32, 32]})
    assert list(shapes_of(model.graph)) == list(model.state_dict())
    assert next(iter(model.state_dict())) == "cls_token"


def test_the_whole_backbone():
    plain = composer.graph("resnet18")
    assert plain.whole_backbone is plain
    composed = composer.graph({"backbone": "resnet18", "attention": [{"use": "se", "after": "branch"}]})
    assert shapes_of(composed.whole_backbone) == shapes_of(plain)
    features = composer.graph({"backbone": "resnet18", "outputs": {"c3": "layer2"}})
    assert shapes_of(features.whole_backbone) == shapes_of(plain)


def test_heads():
    assert heads(composer.graph("resnet18")) == ["fc"]
    assert heads(composer.graph({"backbone": "resnet18", "outputs": {"c3": "layer2"}})) == []
