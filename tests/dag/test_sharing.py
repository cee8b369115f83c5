"""Nodes that share: what is said of them, what rules see, and every mistake at its line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import registry
from composer.errors import ComposerError

CONV = {"op": "conv2d", "out_channels": 3, "kernel_size": 3}
STAGE = {"conv": {**CONV, "site": "branch"}, "add": {"op": "add", "from": ["conv", "input"]}}
TOWERS: dict[str, Any] = {
    "inputs": {"left": [3, 8, 8], "right": [3, 4, 4]},
    "blocks": {
        "stage": {
            "site": "stage",
            "nodes": {"conv": {**CONV, "site": "branch"}, "add": {"op": "add", "from": ["conv", "input"]}},
        },
        "tower": {"nodes": {"one": {"block": "stage"}, "two": {"block": "stage"}, "pool": "global_avg_pool"}},
    },
    "nodes": {
        "tower": {"block": "tower", "from": "left"},
        "again": {"share": "tower", "from": "right"},
        "once_more": {"share": "again", "from": "left"},
        "sum": {"op": "add", "from": ["tower", "again", "once_more"]},
    },
}


def problem_of(nodes: dict[str, Any], **more: Any) -> ComposerError:
    with pytest.raises(ComposerError) as caught:
        composer.compose({"input": [3, 8, 8], "nodes": nodes, **more})
    return caught.value


@pytest.mark.parametrize(
    ("nodes", "code", "words", "at"),
    [
        ({"a": CONV, "b": {"share": "aa"}}, "unknown-node", "there is no node `aa` here", "nodes.b.share"),
        ({"a": CONV, "b": {"share": "input"}}, "unknown-node", "there is no node `input` here", "nodes.b.share"),
        ({"a": CONV, "b": {"share": "b"}}, "share", "`b` shares with itself", "nodes.b.share"),
        ({"c": {"share": "d"}, "d": {"share": "c"}}, "share", "in a circle: c -> d -> c", "nodes.c.share"),
        ({"a": {"share": "b", "from": "input"}, "b": {**CONV, "from": "a"}}, "cycle", "in a circle: a -> b -> a", ""),
        (
            {"a": {**CONV, "out_channels": 4}, "b": {"share": "a"}},
            "share",
            "the module of `a` takes b×3×8×8, found b×4×8×8",
            "b",
        ),
        ({"a": {**CONV, "when": False}, "b": {"share": "a"}}, "share", "`a` has no module: its `when` is false", "b"),
        (
            {"a": CONV, "b": {"share": "a", "kernel_size": 5}},
            "share",
            "`a` has `kernel_size: 3`",
            "nodes.b.kernel_size",
        ),
        ({"a": CONV, "b": {"share": "a", "op": "linear"}}, "share", "`a` has `op: conv2d`", "nodes.b.op"),
        ({"a": CONV, "b": {"share": "a", "bias": True}}, "share", "`a` has no `bias`", "nodes.b.bias"),
        ({"a": {**CONV, "share": True}}, "share", "is for the copies of a `repeat`", "nodes.a.share"),
        ({"a": {**CONV, "share": False}}, "share", "`share` is false", "nodes.a.share"),
        ({"a": CONV, "b": {"share": "a", "repeat": 2}}, "share", "cannot call `a`", "nodes.b.share"),
        (
            {"a": {**CONV, "kernel_size": "${2 * index + 1}", "repeat": 2, "share": True}},
            "share",
            "`index` differs",
            "nodes.a.kernel_size",
        ),
        (
            {"a": {**CONV, "out_channels": 5, "repeat": 2, "share": True}},
            "share",
            "the module of `0` takes b×3×8×8, found b×5×8×8",
            "a.1",
        ),
    ],
)
def test_a_mistake_is_told_at_its_line(nodes: dict[str, Any], code: str, words: str, at: str) -> None:
    (problem,) = problem_of(nodes).diagnostics
    assert problem.code == code
    assert words in problem.message
    assert problem.path == at


def test_a_network_inside_may_be_called_again() -> None:
    one = {"backbone": "resnet18", "from": "left", "outputs": {"c4": "layer3", "c5": "layer4"}}
    nodes = {
        "one": {**one, "attention": [{"use": "cbam", "after": "branch", "share": {"channel": "stage"}}]},
        "other": {"share": "one", "from": "right"},
        "sum": {"op": "add", "from": ["one.c5", "other.c5"]},
        "shallow": {"op": "add", "from": ["one.c4", "other.c4"]},
    }
    spec = {
        "inputs": {"left": [3, 64, 64], "right": [3, 64, 64]},
        "nodes": nodes,
        "outputs": {"a": "sum", "b": "shallow"},
    }
    model = composer.build({**spec, "attention": [{"use": "se", "after": "block", "share": "stage"}]}).eval()
    assert "one.layer1.shared_cbam_channel.fc1.weight" in model.state_dict()
    assert sum(one.numel() for one in model.parameters()) == model.graph.num_parameters
    x, y = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 64, 64)
    found, ours = model(x, y), model.one
    assert torch.allclose(found["a"], ours(x)["c5"] + ours(y)["c5"])
    assert torch.allclose(found["b"], ours(x)["c4"] + ours(y)["c4"])
    again = composer.compose(model.spec.to_mapping())
    assert not composer.diff(model.graph, again)
    with pytest.raises(ComposerError, match="a `backbone` makes a network of its own"):
        composer.compose({**spec, "nodes": {**nodes, "other": {**one, "share": "one"}}})


def test_the_same_may_be_written_twice() -> None:
    graph = composer.compose({"input": [3, 8, 8], "nodes": {"a": CONV, "b": {"share": "a", **CONV}}})
    assert graph.num_parameters == 81


def test_a_module_made_for_a_size_is_not_called_on_another() -> None:
    nodes = {
        "a": {"op": "bot", "out_channels": 8},
        "p": {"op": "avg_pool", "kernel_size": 2, "stride": 2},
        "b": {"share": "a"},
    }
    with pytest.raises(ComposerError, match="the module of `a` takes b×8×4×4, found b×8×2×2"):
        composer.compose({"input": [8, 4, 4], "nodes": nodes})


def test_a_block_that_is_called_again_is_one_place() -> None:
    graph = composer.compose(TOWERS)
    assert graph.places.sites == {"stage": 2, "branch": 2}
    assert graph.places.at("again.one.conv") is None
    for path, owner in (("again", "tower"), ("once_more.two.conv", "tower.two.conv")):
        with pytest.raises(ComposerError, match=f"`{path}` calls the module of `{owner}`"):
            composer.compose({**TOWERS, "attention": [{"use": "se", "after": path}]})
    place = graph.places.at("tower.two.conv")
    assert place is not None
    assert (place.stage, place.num_stages) == (2, 2)


def test_it_is_told_in_the_graph_and_in_json() -> None:
    graph = composer.compose(TOWERS)
    flat = graph.networkx()
    assert flat.nodes["tower.one.conv"]["shares"] == {}
    assert flat.nodes["again.one.conv"]["shares"] == {"": "tower.one.conv"}
    # To the owner, also through another that shares.
    assert graph.root.nodes["once_more"].owner == "tower"
    assert [flat.nodes[f"{name}.one.conv"]["parameters"] for name in ("tower", "again", "once_more")] == [81, 0, 0]
    assert sum(data["parameters"] for _, data in flat.nodes(data=True)) == graph.num_parameters == 162
    assert graph.num_macs == 2 * 81 * (64 + 16 + 64)
    rows = {row["path"]: row for row in graph.summary().to_json()["rows"]}
    assert rows["again"]["shares"] == {"": "tower"}
    assert "tower, shares tower" in str(graph.summary())


def test_a_rule_replaces_the_module_for_all() -> None:
    nodes = {"a": {**CONV, "site": "spatial_conv"}, "b": {"share": "a", "site": "spatial_conv"}}
    spec = {"input": [3, 8, 8], "nodes": nodes}
    rule = {"use": "condconv", "replace": "spatial_conv", "expect": 2}
    graph = composer.compose({**spec, "attention": [rule]})
    assert [node.op for node, _ in graph.operations] == ["condconv", "condconv"]
    assert graph.root.nodes["b"].owner == "a"
    assert graph.mechanisms == {0: ("a",)}
    # One module after each of both calls is two modules.
    behind = composer.compose({**spec, "attention": [{"use": "se", "after": "spatial_conv", "expect": 2}]})
    assert len(behind.mechanisms[0]) == 2
    only = {"use": "condconv", "replace": "b"}
    with pytest.raises(ComposerError, match="`b` calls the module of `a`"):
        composer.compose({**spec, "attention": [only]})
    with pytest.raises(ComposerError, match="which this rule takes out"):
        composer.compose({**spec, "attention": [{"remove": "a"}]})


class AddSkip(nn.Module):
    """Add another tensor."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return x + skip


@pytest.fixture
def add_skip() -> Iterator[None]:
    composer.mechanism("add_skip", kind="fusion")(AddSkip)
    yield
    del registry._state.entries["add_skip"]


@pytest.mark.usefixtures("add_skip")
def test_a_rule_that_binds_tensors_inside_a_block_binds_those_of_each_call() -> None:
    rule = {"use": "add_skip", "after": "tower.two.conv", "from": {"skip": "../one"}}
    alike = {"left": [3, 8, 8], "right": [3, 8, 8]}
    flat = composer.compose({**TOWERS, "inputs": alike, "attention": [rule]}).networkx()
    for call in ("tower", "again", "once_more"):
        (name,) = (one for one in flat if one.startswith(f"{call}.two.") and flat.nodes[one]["op"] == "add_skip")
        assert sorted(flat.predecessors(name)) == [f"{call}.one.add", f"{call}.two.conv"]
    model = composer.build({**TOWERS, "inputs": alike, "attention": [rule]})
    x, y = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    tower = model.tower

    def plain(z: Tensor) -> Tensor:
        one = tower.one.conv(z) + z
        return (tower.two.conv(one) + one + one).mean((2, 3))

    assert torch.allclose(model(x, y), 2 * plain(x) + plain(y), rtol=1e-5, atol=1e-6)


def test_diff_tells_who_shares() -> None:
    apart = {**TOWERS["nodes"], "again": {"block": "tower", "from": "right"}}
    change = composer.diff({**TOWERS, "nodes": apart}, TOWERS)
    found = {one.path: one for one in change.changes}
    assert found["again"].details["shares"] == (None, "tower")
    assert sum(one.parameters[1] - one.parameters[0] for one in change.changes) == -162
