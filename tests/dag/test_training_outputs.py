"""Outputs that only training has, such as those of auxiliary classifiers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torchvision

import composer
from composer import ComposerError, SpecError
from composer.artefacts import lock
from composer.dag.notes import notes

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
SPEC: dict[str, Any] = {
    "name": "net",
    "input": [3, 32, 32],
    "vars": {"aux": True},
    "nodes": {
        "stage": {"op": "conv2d", "out_channels": 4, "kernel_size": 3, "site": "stage"},
        "pool": "global_avg_pool",
        "fc": {"op": "linear", "out_features": 5, "site": "head"},
        "aux_pool": {"op": "global_avg_pool", "from": "stage", "when": "$aux"},
        "aux_fc": {"op": "linear", "out_features": 3, "when": "$aux"},
    },
    "outputs": {"logits": "fc", "aux": {"from": "aux_fc", "only": "training", "when": "$aux"}},
}


def test_training_has_all_and_eval_the_tensor_of_the_only_other() -> None:
    model = composer.build(SPEC)
    found = model(IMAGES)
    assert list(found) == ["logits", "aux"]
    x = model.stage(IMAGES)
    assert torch.equal(found["aux"], model.aux_fc(x.mean((2, 3))))
    assert torch.equal(model.eval()(IMAGES), found["logits"])
    assert "aux_fc.weight" in model.state_dict()
    assert torch.equal(model.forward_head(model.forward_features(IMAGES)), found["logits"])


def test_several_others_are_a_dict_in_eval() -> None:
    spec = {**SPEC, "outputs": {**SPEC["outputs"], "map": "stage"}}
    model = composer.build(spec)
    assert list(model(IMAGES)) == ["logits", "aux", "map"]
    assert list(model.eval()(IMAGES)) == ["logits", "map"]


def test_without_it_the_network_is_as_if_it_were_not_written() -> None:
    model = composer.build(SPEC, vars={"aux": False})
    assert torch.is_tensor(model(IMAGES))
    assert list(model.graph.outputs) == ["output"]


def test_what_only_training_needs_does_not_run_in_eval() -> None:
    model, calls = composer.build(SPEC).eval(), []
    model.aux_fc.register_forward_hook(lambda *words: calls.append(words))
    model(IMAGES)
    assert not calls
    model.train()(IMAGES)
    assert len(calls) == 1


def test_a_map_that_a_scope_passes_outward() -> None:
    block = {"nodes": {"a": {"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "b": "relu"}}
    nodes = {"s": {"block": "two"}, "pool": "global_avg_pool"}
    outputs = {"y": "pool", "early": {"from": "s.a", "only": "training"}}
    model = composer.build({"input": [3, 32, 32], "blocks": {"two": block}, "nodes": nodes, "outputs": outputs})
    early = model.s.a(IMAGES)
    assert torch.equal(model(IMAGES)["early"], early)
    assert torch.equal(model.eval()(IMAGES), early.relu().mean((2, 3)))


def test_it_is_kept_everywhere() -> None:
    model = composer.build(SPEC)
    for one in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), composer.build(lock(model.graph, 0))):
        one.load_state_dict(model.state_dict())
        assert torch.equal(one(IMAGES)["aux"], model(IMAGES)["aux"])
        assert torch.equal(one.eval()(IMAGES), model(IMAGES)["logits"])
    exported = torch.export.export(copy.deepcopy(model).eval(), (IMAGES,)).module()
    assert torch.equal(exported(IMAGES), model(IMAGES)["logits"])
    assert list(composer.features(model, {"a": "aux_fc"})(IMAGES)) == ["a"]
    assert any("only training has the outputs `aux`" in note for note in notes(model.graph))
    assert "aux N×3 (training)" in str(model.graph.summary())


def test_googlenet_with_auxiliary_classifiers_is_torchvisions() -> None:
    options = {"init_weights": False, "dropout": 0.0, "dropout_aux": 0.0}
    theirs = torchvision.models.googlenet(aux_logits=True, **options)
    ours = composer.build("googlenet", vars={"aux_logits": True, "dropout": 0})
    ours.aux1.dropout.p = ours.aux2.dropout.p = 0.0
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 224, 224)
    found, wanted = ours(images), theirs(images)
    assert list(found) == ["logits", "aux2", "aux1"]
    for name, value in zip(found, wanted, strict=True):
        assert torch.equal(found[name], value)
    sum(value.square().sum() for value in found.values()).backward()
    sum(value.square().sum() for value in wanted).backward()
    assert torch.allclose(ours.conv1.conv.weight.grad, theirs.conv1.conv.weight.grad, rtol=1e-4)
    assert torch.equal(ours.eval()(images), theirs.eval()(images))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"from": "aux_fc", "only": "eval"}, "`only` is the string 'eval'"),
        ({"only": "training"}, "`from` is missing"),
        ({"from": "aux_fc", "onyl": "training"}, "unknown key `onyl`"),
        ({"from": "aux_fcs", "only": "training"}, "there is no node `aux_fcs`"),
        ({"from": "aux_fc", "when": "$auxx"}, "unknown name `auxx`"),
        ({"from": "aux_fc", "when": "${3}"}, "`when` is 3"),
    ],
)
def test_mistakes(output: dict[str, Any], said: str) -> None:
    with pytest.raises(ComposerError) as caught:
        composer.compose({**SPEC, "outputs": {"logits": "fc", "aux": output}})
    assert isinstance(caught.value, SpecError)
    assert said in str(caught.value)
