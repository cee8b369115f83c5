"""The largest change of a logit: what attention makes of a network just filled, against the plain one."""

from __future__ import annotations

import pytest
import torch

import composer
from composer.spec.model import WeightsSpec
from composer.weights import load_weights, read_checkpoint
from composer.weights.change import largest_change

BY_NAME = WeightsSpec(source="w.pt")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.pt"
    # Branches that say something: they start at 0.
    trained = composer.build("resnet18", vars={"zero_init_last": False}, seed=7)
    torch.save(trained.state_dict(), path)
    return read_checkpoint(path)


def composed(*rules, **extra):
    return composer.build({"backbone": "resnet18", "input": [3, 64, 64], "attention": list(rules), **extra})


def measured(model, checkpoint, weights=BY_NAME):
    load_weights(model, checkpoint, require=weights.require, match=weights.match)
    return largest_change(model, checkpoint, weights)


def test_zero_where_every_rule_starts_as_the_identity(checkpoint):
    model = composed(
        {"use": "se", "after": "branch", "start": "identity"},
        {"use": "sk", "replace": "spatial_conv", "where": "stage == 4", "start": "identity"},
    )
    assert measured(model, checkpoint) == 0.0
    assert model.training


def test_what_it_measures(checkpoint):
    model = composed({"use": "se", "after": "branch"})
    change = measured(model, checkpoint)
    plain = composer.build({"backbone": "resnet18", "input": [3, 64, 64]})
    load_weights(plain, checkpoint)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert change == float((model.eval()(x) - plain.eval()(x)).abs().max())
    assert change > 0.1


def test_a_replaced_convolution_changes_it(checkpoint):
    assert measured(composed({"use": "sk", "replace": "spatial_conv", "where": "stage == 4"}), checkpoint) > 0


def test_a_head_that_keeps_its_own_weights_is_the_same_on_both_sides(checkpoint):
    identity = {"use": "se", "after": "branch", "start": "identity"}
    assert measured(composed(identity, vars={"num_classes": 3}), checkpoint) == 0.0


def test_features(checkpoint):
    rule = {"use": "eca", "after": "layer1.*.bn2", "start": "identity"}
    assert measured(composed(rule, outputs={"c2": "layer1", "c3": "layer2"}), checkpoint) == 0.0


def test_nothing_is_measured_without_rules_or_with_half_a_backbone(checkpoint):
    assert measured(composed(), checkpoint) is None
    half = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith("layer2")}
    model = composed({"use": "se", "after": "branch"})
    part = composer.weights.Checkpoint("half", half)
    assert measured(model, part, WeightsSpec(source="w.pt", require="any")) is None
