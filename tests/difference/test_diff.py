"""What differs between two networks: matched by path, then by content; and the numbers always add up."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from typing import Any

import pytest

import composer
from composer import diff
from composer.difference import Change, Difference

CONV = {"op": "conv2d", "out_channels": 4, "kernel_size": 3}


def net(nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "net", "input": [4, 8, 8], "nodes": nodes, **more}


def told(difference: Difference) -> list[tuple[str, str | None, str | None]]:
    return [(change.kind, change.before, change.after) for change in difference.changes]


def only(difference: Difference) -> Change:
    (change,) = difference.changes
    return change


def check_sums(difference: Difference) -> None:
    before, after = difference.before, difference.after
    grown = sum(change.parameters[1] - change.parameters[0] for change in difference.changes)
    assert grown == after.num_parameters - before.num_parameters
    grown = sum(change.macs[1] - change.macs[0] for change in difference.changes)
    assert grown == after.num_macs - before.num_macs


@pytest.mark.parametrize("name", ["resnet18", "vit_base_patch16_224", "papers/sk/resnext50_32x4d"])
def test_a_network_does_not_differ_from_itself(name):
    difference = diff(name, name)
    assert not difference
    assert difference.changes == ()
    assert str(difference) == "no difference"
    assert difference.to_json()["equal"] is True


def test_names_sites_and_how_it_is_written_do_not_matter():
    nodes = {"conv": {**CONV, "site": "stem"}, "act": "relu"}
    other = net({"conv": {**CONV, "padding": None}, "act": {"op": "relu", "from": "conv"}}, name="other")
    assert not diff(net(nodes), other)
    written = {"conv": CONV, "conv_se": "se", "act": "relu"}
    assert not diff(net({"conv": CONV, "act": "relu"}, attention=[{"use": "se", "after": "conv"}]), net(written))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("resnet50", "papers/cbam/resnet50"),
        ("resnext50_32x4d", "papers/sk/resnext50_32x4d"),
        ("resnet50", "papers/mhsa/resnet50"),
        ("resnet18", "mobilenetv2_100"),
        ("resnet50", "resnet101"),
        ("efficientnet_b0", "efficientnet_b1"),
        ("vit_base_patch16_224", "resnet18"),
    ],
)
def test_numbers_add_up_both_ways(one, other):
    there, back = diff(one, other), diff(other, one)
    check_sums(there)
    check_sums(back)
    mirrored = {"added": "removed", "removed": "added"}
    assert sorted((mirrored.get(kind, kind), b or "", a or "") for kind, a, b in told(there)) == sorted(
        (kind, a or "", b or "") for kind, a, b in told(back)
    )


def test_an_insertion_is_one_change_and_rewires_nothing():
    attention = [{"use": "cbam", "after": "branch", "start": "identity", "where": "block == 1"}]
    difference = diff("resnet18", {"backbone": "resnet18", "attention": attention})
    assert {change.kind for change in difference.changes} == {"added"}
    assert len(difference.changes) == 3 * 4
    first = difference.changes[0]
    assert (first.after, first.op, first.sources) == ("layer1.0.cbam", "cbam", ("layer1.0.bn2",))


@pytest.mark.parametrize(
    "rule",
    [
        {"use": "se", "before": "b"},
        {"use": "se", "after": "b"},
        {"use": "se", "beside": "b"},
        {"use": "se", "after": "b", "start": "identity"},
        {"use": "mhsa", "after": "b", "with": {"num_heads": 2}},
    ],
)
def test_every_way_of_inserting(rule):
    plain = net({"a": CONV, "b": CONV, "c": CONV})
    difference = diff(plain, {**plain, "attention": [rule]})
    assert {change.kind for change in difference.changes} == {"added"}


def test_a_replacement_is_a_change_of_the_operation():
    plain = net({"a": CONV, "bn": "batch_norm", "act": "relu", "b": CONV})
    difference = diff(plain, {**plain, "attention": [{"use": "sk", "replace": "a"}]})
    assert told(difference) == [("removed", "bn", None), ("removed", "act", None), ("changed", "a", "a")]
    assert difference.changes[2].details == {"op": ("conv2d", "sk")}


def test_options_and_shapes():
    one = net({"a": CONV, "act": "relu", "b": CONV})
    change = only(diff(one, net({"a": CONV, "act": "relu", "b": {**CONV, "bias": True}})))
    assert change.details == {"options.bias": (False, True)}
    assert change.parameters == (144, 148)
    difference = diff(one, net({"a": {**CONV, "out_channels": 6}, "act": "relu", "b": CONV}))
    a, act, b = difference.changes
    assert a.details == {"options.out_channels": (4, 6), "output": ("N×4×8×8", "N×6×8×8")}
    assert act.details == dict.fromkeys(("input", "output"), ("N×4×8×8", "N×6×8×8"))
    assert b.details == {"input": ("N×4×8×8", "N×6×8×8")}
    assert b.macs == (144 * 64, 216 * 64)


def test_a_layout_is_part_of_the_shape():
    square = {"op": "rearrange", "pattern": "b c h w -> b h w c"}
    one = {"input": [8, 8, 8], "nodes": {"a": square, "b": "relu"}}
    other = {"input": [8, 8, 8], "nodes": {"a": {**square, "pattern": "b c h w -> b c w h"}, "b": "relu"}}
    assert diff(one, other).changes[1].details["output"] == ("b h w c", "b c w h")


def test_wiring():
    nodes = {"a": CONV, "b": CONV, "sum": {"op": "add", "from": ["a", "b"]}}
    change = only(diff(net(nodes), net({**nodes, "sum": {"op": "add", "from": ["input", "b"]}})))
    assert change.details == {"from": (("a", "b"), ("input", "b"))}
    twice = only(diff(net(nodes), net({**nodes, "sum": {"op": "add", "from": ["a", "b", "b"]}})))
    assert twice.details["from"] == (("a", "b"), ("a", "b", "b"))


def test_inputs_and_outputs():
    nodes = {"a": CONV, "b": "relu"}
    larger = diff(net(nodes), {**net(nodes), "input": [4, 16, 16]})
    assert told(larger)[0] == ("changed", "input", "input")
    assert larger.changes[0].details == {"output": ("N×4×8×8", "N×4×16×16")}
    several = diff(net(nodes), net(nodes, outputs={"x": "a", "y": "b"}))
    assert told(several) == [
        ("removed", "outputs.output", None),
        ("added", None, "outputs.x"),
        ("added", None, "outputs.y"),
    ]
    assert not diff(net(nodes), net(nodes, outputs={"renamed": "b"}))
    earlier = only(diff(net(nodes, outputs={"x": "a", "y": "b"}), net(nodes, outputs={"x": "b", "y": "b"})))
    assert earlier.details == {"from": (("a",), ("b",))}


def test_a_renamed_stage_moves_as_a_whole_even_with_attention_in_it():
    spec = composer.load("resnet18").to_mapping()
    renamed = json.loads(json.dumps(spec).replace('"layer', '"stage'))
    moves = [("moved", f"layer{number}", f"stage{number}") for number in (1, 2, 3, 4)]
    assert told(diff(spec, renamed)) == moves
    renamed["attention"] = [{"use": "se", "after": "branch"}]
    difference = diff(spec, renamed)
    assert told(difference)[8:] == moves
    assert {(kind, after.rpartition(".")[2]) for kind, _, after in told(difference)[:8]} == {("added", "se")}
    check_sums(difference)


def test_nodes_that_a_new_block_takes_in_have_moved():
    plain = net({"conv": CONV, "act": "relu", "head": {**CONV, "kernel_size": 1}})
    stem = {"nodes": {"conv": CONV, "act": "relu"}}
    wrapped = net({"stem": {"block": "stem"}, "head": {**CONV, "kernel_size": 1}}, blocks={"stem": stem})
    assert told(diff(plain, wrapped)) == [("moved", "conv", "stem.conv"), ("moved", "act", "stem.act")]
    assert told(diff(wrapped, plain)) == [("moved", "stem.conv", "conv"), ("moved", "stem.act", "act")]


def test_neighbours_tell_nodes_of_one_content_apart():
    body = {"a": CONV, "b": CONV, "c": CONV, "out": {"op": "concat", "from": ["c", "a"]}}
    renamed = {"z": CONV, "y": CONV, "x": CONV, "out": {"op": "concat", "from": ["x", "z"]}}
    assert told(diff(net(body), net(renamed))) == [
        ("moved", "a", "z"),
        ("moved", "b", "y"),
        ("moved", "c", "x"),
    ]


def test_an_activation_elsewhere_has_not_moved():
    one = net({"act": "relu", "a": CONV, "b": {**CONV, "kernel_size": 1}})
    other = net({"a": CONV, "b": {**CONV, "kernel_size": 1}, "end": "relu"})
    assert told(diff(one, other)) == [("removed", "act", None), ("added", None, "end")]


def test_a_block_where_an_operation_was():
    block = {"unit": {"nodes": {"x": CONV, "y": "relu"}}}
    difference = diff(net({"a": CONV, "b": CONV}), net({"a": {"block": "unit"}, "b": CONV}, blocks=block))
    # Its convolution is the very one that was there before.
    assert told(difference) == [("added", None, "a.y"), ("moved", "a", "a.x")]
    other = {"unit": {"nodes": {"x": {**CONV, "kernel_size": 1}, "y": "relu"}}}
    difference = diff(net({"a": CONV, "b": CONV}), net({"a": {"block": "unit"}, "b": CONV}, blocks=other))
    assert told(difference) == [("changed", "a", "a")]
    assert only(difference).details == {"op": ("conv2d", "unit")}
    check_sums(difference)


def test_whole_scopes_are_one_change():
    difference = diff("resnet50", "resnet101")
    assert [change.after for change in difference.changes] == [f"layer3.{index}" for index in range(6, 23)]
    assert {(change.op, change.size) for change in difference.changes} == {("bottleneck", 10)}


def test_graphs_that_are_composed_already():
    graph = composer.graph("papers/se/resnet50")
    difference = composer.diff(graph.plain, graph)
    assert len(difference.changes) == 16
    assert difference.before is graph.plain


def test_json_holds_each_change_and_the_totals():
    found = json.loads(json.dumps(diff("resnet50", "papers/se/resnet50").to_json()))
    assert found["before"] == {
        "name": "resnet50",
        "operations": 174,
        "parameters": 25_557_032,
        "macs": 4_089_184_256,
    }
    assert found["after"]["parameters"] == 28_088_024
    assert found["changes"][0] == {
        "kind": "added",
        "before": None,
        "after": "layer1.0.se",
        "op": "se",
        "operations": 1,
        "sources": ["layer1.0.bn3"],
        "details": {},
        "parameters": [0, 8464],
        "macs": [0, 8192],
    }


def test_a_difference_is_frozen():
    difference = diff(net({"a": CONV}), net({"a": CONV, "b": CONV}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        difference.changes = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        difference.changes[0].kind = "moved"


def random_net(chance: random.Random) -> dict[str, Any]:
    """A network of up to twelve nodes with random names, options and wiring; every node is an output."""
    blocks = {
        "pair": {"nodes": {"conv": CONV, "act": "relu"}},
        "wide": {"nodes": {"conv": {**CONV, "groups": 2}, "bn": "batch_norm", "act": "relu"}},
    }
    nodes: dict[str, Any] = {}
    for name in chance.sample("abcdefghijklmnop", chance.randint(2, 12)):
        earlier = ["input", *nodes]
        made = chance.choice(
            [
                {**CONV, "kernel_size": chance.choice([1, 3])},
                {"op": "relu"},
                {"op": "batch_norm"},
                {"op": "add", "from": [chance.choice(earlier), chance.choice(earlier)]},
                {"block": chance.choice(["pair", "wide"]), "repeat": chance.choice([1, 2, 3])},
                {"block": "pair"},
            ]
        )
        nodes[name] = {"from": chance.choice(earlier), **made}
    return net(nodes, blocks=blocks, outputs={f"out_{name}": name for name in nodes})


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed):
    chance = random.Random(seed)
    one, other = (composer.graph(random_net(chance)) for _ in range(2))
    difference = diff(one, other)
    check_sums(difference)
    assert not diff(one, one)
    paths = [change.before for change in difference.changes if change.before]
    assert len(paths) == len(set(paths))
    paths = [change.after for change in difference.changes if change.after]
    assert len(paths) == len(set(paths))
    assert str(difference)


def test_time_is_linear_in_the_nodes():
    def least_seconds(blocks: int) -> float:
        nodes: dict[str, Any] = {"stem": CONV}
        for index in range(blocks):
            nodes |= {f"conv_{index}": {**CONV, "kernel_size": 1}, f"act_{index}": {"op": "relu", "site": "branch"}}
        plain = composer.graph(net(nodes))
        renamed = composer.graph(net({f"other_{name}": node for name, node in nodes.items()}))
        added = composer.graph(net(nodes, attention=[{"use": "se_var1", "after": "branch"}]))
        seconds = []
        for _ in range(3):
            start = time.process_time()
            str(diff(plain, renamed)), str(diff(plain, added))
            seconds.append(time.process_time() - start)
        return min(seconds)

    # Eight times the nodes; what grew with their square would take 64 times as long.
    assert least_seconds(800) < 20 * least_seconds(100)
