"""Rows: their sums are the network's, repeats are folded, and what differs keeps a row of its own."""

from __future__ import annotations

import time

import pytest

import composer
from composer.network import Graph
from composer.spec import zoo
from composer.summary import Cost, Row
from composer.summary.names import ranges


def names(row: Row) -> list[str]:
    return [ranges(one.names) for one in row.rows]


def find(row: Row, path: str) -> Row:
    return next(one for _, one in row.walk() if one.path == path)


QUICK = ("resnet18", "vit_base_patch16_224", "papers/sk/resnext50_32x4d")


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in zoo.backbones() if name not in QUICK)]
)
def test_sums_are_those_of_the_graph(name):
    graph = composer.graph(name)
    summary = graph.summary()
    assert summary.cost.parameters == graph.num_parameters
    assert summary.cost.macs == graph.num_macs
    assert summary.plain.macs == graph.plain.num_macs
    rows = [row for _, row in summary.root.walk()]
    for row in rows:
        if row.rows:
            assert row.cost == sum((one.cost for one in row.rows), Cost())
    leaves = [row for row in rows if not row.rows]
    assert sum(row.count for row in leaves) == len(graph.operations)
    assert sum((row.cost for row in leaves), Cost()) == summary.cost
    added = sum((rule.cost for rule in summary.rules), Cost())
    assert summary.plain + added == summary.cost


def test_rules_say_what_the_graph_says():
    rules = [
        {"use": "se", "after": "branch"},
        {"remove": "layer4.1.se"},
        {"use": "sk", "replace": "spatial_conv", "where": "stage == 4"},
    ]
    graph = composer.graph({"backbone": "resnet18", "attention": rules})
    found = [(rule.use, len(rule.paths), rule.cost.parameters, rule.cost.macs) for rule in graph.summary().rules]
    assert found == [(one.rule.use or "", len(one.places), one.parameters, one.macs) for one in graph.added]
    assert found[1][2] < 0


def test_copies_share_a_row(stages):
    root = composer.graph(stages).summary().root
    assert names(root) == ["stem", "body", "pool", "fc"]
    (copies,) = find(root, "body").rows
    assert (copies.names, copies.count, copies.op) == (("0", "1", "2", "3", "4"), 5, "residual")
    assert find(root, "body").op == "5 × residual"
    conv = find(root, "body.0.conv")
    assert (conv.count, conv.cost.parameters, conv.cost.macs) == (5, 5 * 144, 5 * 144 * 64)


def test_the_exception_has_a_row_of_its_own(stages):
    stages["attention"] = [{"use": "eca", "after": "branch", "where": "block == 3"}]
    body = find(composer.graph(stages).summary().root, "body")
    assert names(body) == ["0-1, 3-4", "2"]
    assert [row.count for row in body.rows] == [4, 1]
    assert [row.uses for row in body.rows] == [(), ("eca",)]
    assert body.uses == ("eca",)


def test_what_rules_put_between_copies_does_not_part_them(stages):
    stages["nodes"]["body"] = {"op": "conv2d", "out_channels": 4, "kernel_size": 3, "repeat": 3}
    stages["attention"] = [{"use": "eca", "after": "body.*"}]
    body = find(composer.graph(stages).summary().root, "body")
    assert names(body) == ["0-2", "at0_eca, at1_eca, at2_eca"]
    assert body.rows[1].rule == 0


def test_every_other_copy_differs(stages):
    stages["attention"] = [{"use": "eca", "after": "branch", "where": "block % 2 == 0"}]
    assert names(find(composer.graph(stages).summary().root, "body")) == ["0, 2, 4", "1, 3"]


def test_copies_written_into_the_scope_itself(stages):
    del stages["nodes"]["body"]["site"]
    stages["nodes"]["body"] |= {"inline": True, "as": "unit${index}"}
    stages["attention"] = [{"use": "eca", "after": "unit2"}]
    assert names(composer.graph(stages).summary().root) == ["stem", "unit0-1, unit3-4", "unit2", "pool", "fc"]


def test_nodes_written_apart_share_a_row_only_with_their_neighbours():
    conv = {"op": "conv2d", "out_channels": 4, "kernel_size": 1}
    nodes = {"a": conv, "b": conv, "act": "relu", "c": conv, "d": {**conv, "kernel_size": 3}}
    root = composer.graph({"input": [4, 4, 4], "nodes": nodes}).summary().root
    assert names(root) == ["a, b", "act", "c", "d"]


def test_what_only_passes_on_has_no_row():
    root = composer.graph("resnet18").summary().root
    assert "layer1.0.downsample" not in [row.path for _, row in root.walk()]


def test_rows_know_their_line():
    graph = composer.graph("papers/se/resnet50")
    root = graph.summary().root
    lines = {row.path: row.source for _, row in root.walk()}
    for path in ("conv1", "layer1.0.bn3", "layer1.0.se"):
        file, line = lines[path].split(":")
        text = (zoo.folder().parent / file).read_text().splitlines()[int(line) - 1]
        assert ("use: se" if path.endswith("se") else f"{path.rpartition('.')[2]}:") in text


def test_memory_of_copies_is_added_up_where_it_differs(stages):
    del stages["blocks"]["residual"]["nodes"]["act"]
    root = composer.graph(stages).summary().root
    # The convolution of the next copy keeps what the sum gives; the pooling behind the last keeps nothing.
    assert find(root, "body.0.add").cost.memory == 4 * (4 * 4 * 8 * 8)


def chain(blocks: int) -> Graph:
    nodes = {"act_0": {"op": "conv2d", "out_channels": 4, "kernel_size": 1}}
    for index in range(blocks):
        nodes |= {
            f"conv_{index}": {"op": "conv2d", "from": f"act_{index}", "out_channels": 4, "kernel_size": 1},
            f"bn_{index}": "batch_norm",
            f"add_{index}": {"op": "add", "from": [f"bn_{index}", f"act_{index}"]},
            f"act_{index + 1}": "relu",
        }
    return composer.graph({"input": [4, 4, 4], "nodes": nodes})


@pytest.mark.parametrize(
    "sizes", [(125, 1000), pytest.param((312, 2496), marks=pytest.mark.slow)], ids=["4,000 nodes", "10,000 nodes"]
)
def test_time_is_linear_in_the_nodes(sizes):
    few, many = (least_seconds(chain(blocks)) for blocks in sizes)
    # Eight times the nodes; what grew with their square would take 64 times as long.
    assert many < 20 * few


def least_seconds(graph: Graph) -> float:
    """Of the processor, so that others at work on the machine do not count."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        str(graph.summary().view(depth=9))
        seconds.append(time.process_time() - start)
    return min(seconds)


def test_measured_time_adds_up_over_rows_that_stand_for_many_nodes(stages):
    graph = composer.graph(stages)
    time = {node.path: 2.0**number for number, (node, _) in enumerate(graph.operations)}
    root = graph.summary(time).root
    assert root.time == sum(time.values())
    for _, row in root.walk():
        assert not row.rows or row.time == sum(below.time for below in row.rows)
    assert graph.summary().root.time is None
    assert {row.time for _, row in graph.summary().root.walk()} == {None}
