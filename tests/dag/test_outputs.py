"""Outputs by path, inline repeats, and networks without what their outputs do not need."""

from __future__ import annotations

import pickle

import pytest
import torch

import composer
from composer.artefacts import lock

STAGED = {
    "input": [3, 16, 16],
    "vars": {"depths": [2, 0, 1]},
    "blocks": {
        "unit": {
            "site": "block",
            "nodes": {"conv": {"op": "conv2d", "out_channels": 4, "kernel_size": 3}, "act": "relu"},
        },
        "stage": {
            "site": "stage",
            "args": {"depth": None},
            "nodes": {"units": {"block": "unit", "repeat": "$depth", "inline": True}},
        },
    },
    "nodes": {
        "stages": {
            "block": "stage",
            "repeat": "${len(depths)}",
            "as": "layer${index + 1}",
            "inline": True,
            "args": {"depth": "${depths[index]}"},
        },
        "last": "sigmoid",
    },
}


def message(spec) -> str:
    with pytest.raises(composer.ComposerError) as caught:
        composer.graph(spec)
    return str(caught.value)


def test_inline_children_are_nodes_of_the_scope_itself() -> None:
    spec = {**STAGED, "vars": {"depths": [2, 1]}}
    model = composer.build(spec)
    assert list(dict(model.named_children())) == ["layer1", "layer2", "last"]
    assert [name for name, _ in model.named_parameters()] == [
        "layer1.0.conv.weight",
        "layer1.1.conv.weight",
        "layer2.0.conv.weight",
    ]
    assert isinstance(model.layer1, torch.nn.Sequential)
    assert composer.graph(spec).places[0].node.sites == ("stage",)


def test_no_inline_copies_pass_the_input_on() -> None:
    spec = {"input": [3, 8, 8], "blocks": {"unit": {"nodes": {"act": "relu"}}}}
    nodes = {"units": {"block": "unit", "repeat": 0, "inline": True}, "act": "relu"}
    assert list(composer.graph({**spec, "nodes": nodes}).root.nodes) == ["act"]


def test_inline_children_need_names_of_their_own() -> None:
    nodes = {**STAGED["nodes"], "layer1": "relu"}
    assert "two nodes are called `layer1`" in message({**STAGED, "vars": {"depths": [1]}, "nodes": nodes})


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"op": "relu", "inline": True}, "`inline` is for the children of a `repeat`"),
        ({"op": "relu", "repeat": 2, "inline": True, "site": "stem"}, "an `inline` repeat is no place of its own"),
    ],
)
def test_inline_where_it_means_nothing(node, said) -> None:
    assert said in message({"input": [3, 8, 8], "nodes": {"act": node}})


PATHS = {"whole": "layer1", "within": "layer2.1.bn1", "end": "layer2.0", "gate": "layer3.0.bn2"}


def test_a_path_gives_what_its_node_gives_in_the_whole_network() -> None:
    rules = [{"use": "se", "after": "branch"}, {"use": "bam", "after": "stage", "where": "not last"}]
    whole = composer.build({"backbone": "resnet18", "attention": rules}).eval()
    part = composer.build({"backbone": "resnet18", "attention": rules, "outputs": PATHS}).eval()
    # What rules put behind a node belongs to it.
    nodes = {"whole": "bam", "within": "layer2.1.bn1", "end": "layer2.0", "gate": "layer3.0.se"}
    seen: dict[str, torch.Tensor] = {}
    for name, path in nodes.items():
        whole.get_submodule(path).register_forward_hook(lambda _, x, y, name=name: seen.update({name: y.clone()}))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        whole(x)
        found = part(x)
    assert list(found) == list(PATHS)
    assert all(torch.equal(found[name], seen[name]) for name in PATHS)
    with torch.no_grad():
        again = pickle.loads(pickle.dumps(part))(x)
    assert all(torch.equal(found[name], again[name]) for name in PATHS)


def test_what_no_output_needs_is_left_out() -> None:
    graph = composer.graph({"backbone": "resnet18", "outputs": {"end": "layer2.0.act1"}})
    assert list(graph.root.nodes)[-1] == "layer2"
    assert [node.path for node, _ in graph.operations][-1] == "layer2.0.act1"
    model = composer.build(graph.spec)
    assert not any(name.startswith(("layer2.1", "layer2.0.conv2", "layer3", "fc")) for name in model.state_dict())
    assert set(model.state_dict()) < set(composer.build("resnet18").state_dict())


def test_one_output_is_a_tensor_and_the_count_of_attention_is_of_what_is_left() -> None:
    spec = {"backbone": "resnet18", "outputs": {"c3": "layer2"}, "attention": [{"use": "se", "after": "branch"}]}
    graph = composer.graph(spec)
    assert composer.build(spec).eval()(torch.randn(1, 3, 32, 32)).shape == (1, 128, 4, 4)
    (added,) = graph.added
    assert added.parameters == graph.num_parameters - graph.plain.num_parameters
    assert len(added.places) == 4


def test_a_lock_builds_the_same_part() -> None:
    spec = {"backbone": "resnet18", "outputs": PATHS, "attention": [{"use": "eca", "after": "branch"}]}
    model = composer.build(spec).eval()
    again = composer.build(lock(model.graph, 0)).eval()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(model(x).values(), again(x).values(), strict=True))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("layer5", "there is no node `layer5`"),
        ("layer2.7", "no `7` in `layer2`"),
        ("layer2.0.conv1.weight", "nothing is inside `layer2.0.conv1`"),
        ("layer1.0.bn1", "a rule takes `layer1.0.bn1` out"),
    ],
)
def test_paths_that_lead_nowhere(path, said) -> None:
    rules = [{"use": "sk", "replace": "spatial_conv"}]
    assert said in message({"backbone": "resnet18", "outputs": {"wanted": path}, "attention": rules})
