"""A sequence with attention in it counts, indexes and iterates its own children, and runs all."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import composer

AROUND = [{"use": "eca", "before": "stage"}, {"use": "bam", "after": "stage", "with": {"norm": "layer"}}]
RULES: dict[str, list[dict[str, Any]]] = {
    "modules": AROUND,
    "a start as identity": [{**rule, "start": "identity"} for rule in AROUND],
    "a tensor passed outward": [*AROUND, {"use": "mhsa", "after": "layer4", "tokens": "pixels"}],
}


def build(rules: list[dict[str, Any]], **more: Any) -> Any:
    torch.manual_seed(0)
    model = composer.build({"backbone": "resnet18", "attention": rules, **more}, num_classes=10)
    for name, parameter in model.named_parameters():
        if "_eca" in name or "_bam" in name:
            nn.init.normal_(parameter, std=0.5)
    return model.eval()


@pytest.fixture(params=RULES)
def model(request: pytest.FixtureRequest) -> Any:
    outputs = {"outputs": {"inside": "layer1.0.act1", "end": "fc"}} if "outward" in request.param else {}
    return build(RULES[request.param], **outputs)


def test_it_counts_its_own(model: Any) -> None:
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        blocks = [stage.get_submodule("0"), stage.get_submodule("1")]
        assert isinstance(stage, composer.Chain)
        assert isinstance(stage, nn.Sequential)
        assert len(stage) == 2
        assert list(stage) == blocks
        assert [stage[0], stage[1]] == blocks
        assert [stage[-2], stage[-1]] == blocks
        assert type(stage[:1]) is nn.Sequential
        assert list(stage[:1].named_children()) == [("0", blocks[0])]
        assert list(stage[1:].named_children()) == [("1", blocks[1])]
        with pytest.raises(IndexError):
            stage[2]
        assert {"in_eca", "out_bam"} < {name for name, _ in stage.named_children()}


def test_it_runs_all_of_them(model: Any) -> None:
    x, stage = torch.randn(1, 64, 8, 8), model.layer2
    starts = hasattr(stage, "out_bam_gamma")
    first = x + stage.in_eca_gamma * (stage.in_eca(x) - x) if starts else stage.in_eca(x)
    inside = stage[1](stage[0](first))
    last = inside + stage.out_bam_gamma * (stage.out_bam(inside) - inside) if starts else stage.out_bam(inside)
    assert torch.equal(stage(x), last)


def test_it_is_copied_pickled_and_exported(model: Any) -> None:
    x = torch.randn(2, 3, 32, 32)
    found = model(x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        again = other(x)
        assert len(other.layer1) == 2
        assert other.graph.edits == ()
        torch.testing.assert_close(again, found, rtol=0, atol=0)
    exported = torch.export.export(model, (x,)).module()(x)
    torch.testing.assert_close(exported, found)


def test_edits_by_hand() -> None:
    model = build(AROUND)
    model.layer1[1] = nn.Identity()
    assert isinstance(model.layer1.get_submodule("1"), nn.Identity)
    assert model.graph.edits == ("layer1.1 is Identity(): it was a `basic`",)
    x = torch.randn(1, 64, 8, 8)
    assert torch.equal(model.layer1(x), model.layer1.out_bam(model.layer1[0](model.layer1.in_eca(x))))
    del model.layer1[-1]
    assert [name for name, _ in model.layer1.named_children()] == ["in_eca", "0", "out_bam"]
    assert len(model.layer1) == 1
    del model.layer2[:]
    assert [name for name, _ in model.layer2.named_children()] == ["in_eca", "out_bam"]


def test_features_end_behind_what_stands_at_the_end_of_a_stage() -> None:
    model = build(RULES["modules"])
    x, seen = torch.randn(1, 3, 64, 64), {}
    for stage in ("layer1", "layer4"):
        model.get_submodule(f"{stage}.out_bam").register_forward_hook(
            lambda _, x, y, stage=stage: seen.update({stage: y})
        )
    found = composer.features(model, {"one": "layer1", "block": "layer1.1", "four": "layer4"})(x)
    assert torch.equal(found["one"], seen["layer1"])
    assert torch.equal(found["four"], seen["layer4"])
    assert torch.equal(model.layer1.out_bam(found["block"]), found["one"])
    assert torch.equal(model.forward_features(x), found["four"])
    assert [info["module"] for info in model.feature_info] == ["act1", "layer1", "layer2", "layer3", "layer4"]
    stages = [place for place in model.graph.places if "stage" in place.node.sites]
    blocks = [place for place in model.graph.places if "block" in place.node.sites]
    assert [place.stage for place in stages] == [1, 2, 3, 4]
    assert [(place.stage, place.block) for place in blocks] == [
        (stage, block) for stage in (1, 2, 3, 4) for block in (1, 2)
    ]
    assert {place.block for place in model.graph.places if place.node.op == "bam"} == {None}


def test_checkpointing_runs_what_stands_in_a_block_again() -> None:
    rules = [{"use": "se", "before": "block"}, {"use": "eca", "after": "block"}]
    plain, saving = build(rules).train(), build(rules).train()
    saving.set_grad_checkpointing()
    x = torch.randn(2, 3, 32, 32)
    for model in (plain, saving):
        model(x).square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), name


def test_layers_of_a_plain_sequence_keep_their_numbers() -> None:
    vgg = composer.build({"backbone": "vgg11", "attention": [{"use": "se", "after": "block"}]}, num_classes=10).eval()
    plain = composer.build("vgg11", num_classes=10)
    assert len(vgg.features) == len(plain.features)
    assert [type(one) for one in vgg.features] == [type(one) for one in plain.features]
    assert vgg.features[3] is vgg.features.get_submodule("3")
    assert "at1_se" in dict(vgg.features.named_children())
    assert vgg.load_state_dict(plain.state_dict(), strict=False).unexpected_keys == []
