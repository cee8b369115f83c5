"""`freeze:` in a spec: what it names stays, in any trainer."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import composer
from composer.errors import GraphError, SpecError

GATED = {"name": "gated", "backbone": "resnet18", "attention": [{"use": "se", "after": "branch", "where": "stage > 2"}]}


def learnt(model):
    return {name.partition(".")[0] for name, one in model.named_parameters() if one.requires_grad}


@pytest.mark.parametrize(
    ("freeze", "left"),
    [
        ("backbone", {"layer3", "layer4"}),
        (["stem", "layer1", "layer[234].*"], {"bn1", "fc"}),
        ({"all_but": ["inserted", "head"]}, {"layer3", "layer4", "fc"}),
    ],
)
def test_what_is_named_needs_no_gradients(freeze, left):
    assert learnt(composer.build({**GATED, "freeze": freeze})) == left


def test_frozen_norms_keep_their_statistics_in_any_loop():
    model = composer.build({**GATED, "freeze": {"all_but": ["inserted", "layer4", "head"]}})
    for one in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        before = copy.deepcopy(one.state_dict())
        one.train()
        one(torch.randn(2, 3, 64, 64)).sum().backward()
        changed = {name for name, value in one.state_dict().items() if not torch.equal(value, before[name])}
        assert changed
        assert all(name.startswith("layer4.") for name in changed)
        assert one.eval().bn1.training is False


def test_the_nearest_file_says_it_and_a_single_spec_keeps_it():
    inner = composer.load_spec({**GATED, "freeze": "backbone"})
    assert learnt(composer.build(inner.to_mapping())) == {"layer3", "layer4"}
    assert learnt(composer.build({**inner.to_mapping(), "freeze": "stem"})) == {
        *("bn1", "layer1", "layer2", "layer3", "layer4", "fc")
    }


def test_a_network_inside_another_keeps_its_own(tmp_path):
    (tmp_path / "encoder.yaml").write_text("backbone: resnet18\nfreeze: [stem, layer1]\n")
    path = tmp_path / "spec.yaml"
    path.write_text("input: [3, 64, 64]\nnodes:\n  stem: identity\n  encoder: {backbone: encoder.yaml}\n")
    model = composer.build(path)
    frozen = {name for name, one in model.named_parameters() if not one.requires_grad}
    assert {name.split(".")[1] for name in frozen} == {"conv1", "layer1"}
    assert all(name.startswith("encoder.") for name in frozen)


def test_places_that_do_not_exist_are_shown_at_their_lines(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("backbone: resnet18\nfreeze:\n  all_but: [head, hed, stemm]\n")
    with pytest.raises(GraphError) as caught:
        composer.compose(path)
    assert [(one.location.line, one.message) for one in caught.value.diagnostics] == [
        (3, "no place is called `hed`"),
        (3, "no place is called `stemm`"),
    ]


def test_one_of_two_keys():
    with pytest.raises(SpecError, match="`at` or `all_but`"):
        composer.compose({**GATED, "freeze": {"at": "stem", "all_but": "head"}})
