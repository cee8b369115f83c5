"""Nodes on a backbone: `backbone` with `nodes`, `blocks` and `outputs` beside it, whose `from` takes any path in it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import composer
from composer import ComposerError, GraphError, SpecError

NECK: dict[str, Any] = {
    "name": "neck",
    "backbone": "resnet18",
    "vars": {"width": 16},
    "blocks": {
        "unit": {
            "args": {"planes": None},
            "nodes": {"conv": {"op": "conv2d", "out_channels": "$planes", "kernel_size": 3}},
        }
    },
    "nodes": {
        "deep": {"block": "unit", "from": "layer4", "args": {"planes": "$width"}},
        "inner": {"op": "conv2d", "from": "layer3.1.bn2", "out_channels": "$width", "kernel_size": 1},
        "early": {"op": "conv2d", "from": "layer3.0", "out_channels": 8, "kernel_size": 1},
    },
    "outputs": {"p5": "deep", "p4": "inner", "p3": "early", "c2": "layer1.0"},
}
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def plain_of(neck: nn.Module) -> nn.Module:
    """The plain backbone with the same weights."""
    plain = composer.build("resnet18")
    own = neck.state_dict()
    plain.load_state_dict({name: own.get(name, value) for name, value in plain.state_dict().items()})
    return plain.eval()


def test_they_compute_on_what_the_backbone_computes() -> None:
    model = composer.build(NECK).eval()
    paths = {"p5": "layer4", "p4": "layer3.1.bn2", "p3": "layer3.0", "c2": "layer1.0"}
    features = composer.features(plain_of(model), paths)(IMAGES)
    found = model(IMAGES)
    assert list(found) == ["p5", "p4", "p3", "c2"]
    assert torch.equal(found["p5"], model.deep.conv(features["p5"]))
    assert torch.equal(found["p4"], model.inner(features["p4"]))
    assert torch.equal(found["p3"], model.early(features["p3"]))
    assert torch.equal(found["c2"], features["c2"])


def test_the_backbones_names_stay_and_what_no_output_needs_is_left_out() -> None:
    names = set(composer.build("resnet18").state_dict())
    own = composer.build(NECK).state_dict()
    assert set(own) == names - {"fc.weight", "fc.bias"} | {"deep.conv.weight", "inner.weight", "early.weight"}


def test_a_path_means_the_node_with_what_rules_put_behind_it() -> None:
    rules = [{"use": "se", "after": "layer3.1.bn2"}, {"use": "eca", "after": "inner"}]
    model = composer.build({**NECK, "attention": rules}).eval()
    gate, inner = [], []
    model.layer3.get_submodule("1.se").register_forward_hook(lambda *words: gate.append(words[2]))
    model.inner.register_forward_hook(lambda *words: inner.append(words[1][0]))
    output = model(IMAGES)["p4"]
    assert torch.equal(inner[0], gate[0])
    assert torch.equal(output, model.inner_eca(model.inner(gate[0])))


def test_a_path_that_a_rule_takes_out() -> None:
    rule = {"use": "sk", "replace": "layer3.1.conv2"}
    with pytest.raises(GraphError, match=r"a rule takes `layer3.1.bn2` out"):
        composer.compose({**NECK, "attention": [rule]})


def test_nodes_in_a_row_follow_the_backbones_last() -> None:
    model = composer.build({"backbone": "resnet18", "nodes": {"scores": "relu"}}).eval()
    assert torch.equal(model(IMAGES), plain_of(model)(IMAGES).relu())


def test_vars_of_its_own_and_of_the_backbone() -> None:
    spec = {**NECK, "vars": {"width": {"default": 16, "minimum": 1}, "num_classes": 7}}
    graph = composer.compose(spec, vars={"width": 32})
    assert graph.outputs["p4"].channels == 32
    assert graph.whole_backbone.root.nodes["fc"].tensor.channels == 7
    with pytest.raises(SpecError, match="`width` is the number 0"):
        composer.compose(spec, vars={"width": 0})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes": {"conv1": {"op": "relu", "from": "layer4"}}}, "the backbone has a node `conv1` too"),
        ({"blocks": {"basic": {"nodes": {"a": "relu"}}}}, "the backbone has a block `basic` too"),
        ({"nodes": {"a": {"op": "relu", "from": "layer5"}}}, "there is no node `layer5` here"),
        ({"nodes": {"a": {"op": "relu", "from": "layer4.7"}}}, "there is no node `layer4.7`"),
        ({"nodes": {"a": {"op": "relu", "from": "conv1.weight"}}}, "`conv1` has no output `weight`"),
        ({"vars": {"num_clases": 7, "width": 8}}, "nothing reads the var `num_clases`"),
        (
            {"nodes": {"a": {"op": "relu", "from": "layer4"}, "b": {"op": "relu", "from": "layer4"}}},
            "nothing uses node `a`",
        ),
    ],
)
def test_mistakes(change: dict[str, Any], said: str) -> None:
    spec = {**NECK, **change}
    if "nodes" in change:
        del spec["outputs"], spec["vars"], spec["blocks"]
    with pytest.raises(ComposerError) as caught:
        composer.compose(spec)
    assert said in str(caught.value)


def test_a_node_that_a_rule_inserts_is_named_by_the_node_before_it() -> None:
    spec = {"backbone": "papers/cbam/resnet50", "nodes": {"a": {"op": "relu", "from": "layer2.1.cbam"}}}
    with pytest.raises(GraphError, match=r"there is no node `layer2\.1\.cbam`") as caught:
        composer.compose(spec)
    assert "a rule inserts `cbam`: name the node or block that it follows" in str(caught.value)
    spec["nodes"]["a"]["from"] = "layer2.1.bn3"
    model, whole = composer.build(spec).eval(), composer.build("papers/cbam/resnet50").eval()
    # Weights follow from the seed and the paths.
    gate = composer.features(whole, {"gate": "layer2.1.cbam"})(IMAGES)["gate"]
    assert torch.equal(model(IMAGES), gate.relu())


def test_a_network_without_a_classifier_says_so() -> None:
    model = composer.build(NECK)
    with pytest.raises(composer.InputError, match="`neck` has no classifier: its outputs leave it out"):
        model.reset_classifier(3)
    model.reset_classifier(0)


def test_weights_of_the_backbone_fill_it(tmp_path) -> None:
    plain = composer.build("resnet18", seed=3)
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    model = composer.build(NECK)
    report = composer.load_weights(model, tmp_path / "plain.pth")
    assert report.added == ("deep.conv.weight", "inner.weight", "early.weight")
    assert report.left_out == ("fc.weight", "fc.bias")
    assert (report.missing, report.inserted, report.unexpected) == ((), (), ())
    assert torch.equal(model.layer4[1].conv2.weight, plain.layer4[1].conv2.weight)
    torch.save(model.state_dict(), tmp_path / "whole.pth")
    assert composer.load_weights(composer.build(NECK), tmp_path / "whole.pth", require="all").added == ()


def test_a_lock_a_pickle_a_copy_and_a_view_compute_the_same(run, tmp_path) -> None:
    model = composer.build(NECK).eval()
    wanted = model(IMAGES)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert all(torch.equal(value, wanted[name]) for name, value in other(IMAGES).items())
    assert torch.equal(composer.features(model, {"one": "layer3.1.bn2"})(IMAGES)["one"], inner_of(model))
    path = tmp_path / "neck.yaml"
    path.write_text(NECK_TEXT)
    assert run("build", path, "-o", tmp_path / "out").code == 0
    again = composer.build(tmp_path / "out" / "neck.lock.yaml").eval()
    assert all(torch.equal(value, wanted[name]) for name, value in again(IMAGES).items())


def inner_of(model: nn.Module) -> torch.Tensor:
    found: list[torch.Tensor] = []
    hook = model.inner.register_forward_hook(lambda *words: found.append(words[1][0]))
    model(IMAGES)
    hook.remove()
    return found[0]


NECK_TEXT = """\
name: neck
backbone: resnet18
vars: {width: 16}
blocks:
  unit: {args: {planes: }, nodes: {conv: {op: conv2d, out_channels: $planes, kernel_size: 3}}}
nodes:
  deep: {block: unit, from: layer4, args: {planes: $width}}
  inner: {op: conv2d, from: layer3.1.bn2, out_channels: $width, kernel_size: 1}
  early: {op: conv2d, from: layer3.0, out_channels: 8, kernel_size: 1}
outputs: {p5: deep, p4: inner, p3: early, c2: layer1.0}
"""


@pytest.mark.parametrize(
    "words",
    [
        ["validate"],
        ["summary"],
        ["sites"],
        ["graph", "-o", "FOLDER/x.svg"],
        ["graph", "-o", "FOLDER/x.html"],
        ["graph", "-o", "FOLDER/x.json"],
    ],
)
def test_verbs(run, tmp_path, words) -> None:
    path = tmp_path / "neck.yaml"
    path.write_text(NECK_TEXT)
    verb, *rest = words
    found = run(verb, path, *(word.replace("FOLDER", str(tmp_path)) for word in rest))
    assert (found.code, found.err if found.code else "") == (0, "")


def test_a_mistake_in_them_is_drawn(run, tmp_path) -> None:
    path = tmp_path / "neck.yaml"
    path.write_text(NECK_TEXT.replace("kernel_size: 1}", "kernel_size: 0}", 1))
    assert run("graph", path, "-o", tmp_path / "x.svg").code == 1
    assert "inner" in (tmp_path / "x.svg").read_text()


def test_nodes_on_nodes_on_a_backbone(tmp_path) -> None:
    (tmp_path / "neck.yaml").write_text(NECK_TEXT)
    path = tmp_path / "head.yaml"
    path.write_text(
        "backbone: neck.yaml\nvars: {width: 8, classes: 3}\n"
        "nodes:\n  pooled: {op: global_avg_pool, from: deep.conv}\n"
        "  scores: {op: linear, out_features: $classes}\n"
    )
    model = composer.build(path).eval()
    assert model(IMAGES).shape == (2, 3)
    assert model.deep.conv.out_channels == 8
    assert torch.equal(
        model(IMAGES), model.scores(model.deep(composer.features(model, ["layer4"])(IMAGES)["layer4"]).mean((2, 3)))
    )
    assert not hasattr(model, "inner")


def test_what_differs_from_the_backbone() -> None:
    added = {change.after for change in composer.diff("resnet18", NECK).changes if change.kind == "added"}
    assert added >= {"deep", "inner", "early"}


def test_a_name_that_the_backbones_repeat_makes_is_refused_where_it_is_written_again() -> None:
    nodes = {"layer4": {"op": "conv2d", "from": "layer3", "out_channels": 8, "kernel_size": 1}}
    with pytest.raises(composer.ComposerError) as caught:
        composer.compose({"backbone": "resnet18", "nodes": nodes})
    assert "the backbone has a node `layer4` too" in str(caught.value)
    assert "nodes.layer4" in str(caught.value) or "at: layer4" in str(caught.value)
