"""Parameters by place: frozen, in groups, with layer decay as timm has it."""

from __future__ import annotations

import pytest
import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay

import composer
from composer.errors import InputError
from composer.training.places import parameters_at

GATED = {"name": "gated", "backbone": "resnet18", "attention": [{"use": "se", "after": "branch", "where": "stage > 2"}]}


@pytest.fixture(scope="module")
def gated():
    return composer.build(GATED)


def test_words_select_what_rules_inserted_and_the_rest(gated):
    every = [name for name, _ in gated.named_parameters()]
    inserted = parameters_at(gated, "inserted")
    assert inserted
    assert all(".se." in name for name in inserted)
    assert parameters_at(gated, "backbone") == [name for name in every if name not in inserted]
    assert parameters_at(gated, "head") == ["fc.weight", "fc.bias"]
    assert parameters_at(gated, ["layer1.*.conv1", "stem"]) == [
        "conv1.weight",
        *(f"layer1.{i}.conv1.weight" for i in (0, 1)),
    ]
    # A glob over paths means whole names: `layer1` is not the beginning of `layer10`.
    assert all(name.startswith("layer1.") for name in parameters_at(gated, "layer1"))


def test_freeze_all_but_the_inserted():
    model = composer.build(GATED)
    frozen = composer.freeze(model, all_but=["inserted", "head"])
    trained = [name for name, one in model.named_parameters() if one.requires_grad]
    assert sorted(frozen + trained) == sorted(name for name, _ in model.named_parameters())
    assert trained == [*parameters_at(model, "inserted"), "fc.weight", "fc.bias"]
    before = model.bn1.running_mean.clone()
    model(torch.randn(2, 3, 64, 64))
    assert torch.equal(model.bn1.running_mean, before)


def test_freeze_wants_one_of_two_and_a_place_that_exists(gated):
    with pytest.raises(InputError, match="`at` or `all_but`"):
        composer.freeze(gated)
    with pytest.raises(InputError, match="no place is called `gate`"):
        composer.freeze(gated, "gate")
    assert all(one.requires_grad for one in gated.parameters())


def rates(groups, model):
    names = {id(one): name for name, one in model.named_parameters()}
    return {names[id(one)]: (group["lr"], group["weight_decay"]) for group in groups for one in group["params"]}


def test_weight_decay_is_timms():
    model = composer.build("vit_tiny_patch16_224")
    ours = rates(composer.groups(model, lr=0.1, weight_decay=0.05), model)
    theirs = param_groups_weight_decay(model, 0.05, no_weight_decay_list=model.no_weight_decay())
    assert ours == rates([{"lr": 0.1, **group} for group in theirs], model)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_tiny"])
def test_layer_decay_is_timms(name):
    model = composer.build(name)
    ours = rates(composer.groups(model, lr=1.0, weight_decay=0.05, layer_decay=0.75), model)
    theirs = param_groups_layer_decay(model, 0.05, no_weight_decay_list=model.no_weight_decay(), layer_decay=0.75)
    assert ours.keys() == {name for name, _ in model.named_parameters()}
    expected = rates([{"lr": group["lr_scale"], **group} for group in theirs], model)
    assert {key: value[1] for key, value in ours.items()} == {key: value[1] for key, value in expected.items()}
    assert {key: value[0] for key, value in ours.items()} == pytest.approx(
        {key: value[0] for key, value in expected.items()}
    )


def test_later_places_override_earlier_ones(gated):
    groups = composer.groups(gated, {"backbone": {"lr": 0.1}, "head": {"lr": 10, "weight_decay": 0.5}}, lr=1.0)
    found = rates(groups, gated)
    assert found["conv1.weight"] == (0.1, 0.0)
    assert found["fc.weight"] == (10.0, 0.5)
    assert found["layer3.0.se.fc1.weight"][0] == 1.0
