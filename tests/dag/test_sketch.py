"""What can be composed of a spec with mistakes, for pictures of it."""

from __future__ import annotations

import pytest

import composer
from composer.dag.limits import Limits
from composer.dag.sketch import Sketch, sketch
from composer.errors import GraphError

CONV = {"op": "conv2d", "out_channels": 8, "kernel_size": 3}
BAD = {**CONV, "groups": 3}


def sketch_of(spec, limits=None):
    loaded = composer.load(spec)
    with pytest.raises(GraphError) as caught:
        composer.graph(loaded)
    return sketch(loaded, caught.value.diagnostics, limits)


def missing(found, path=""):
    return {name: one.failed for name, one in found.unfinished[path].missing.items()}


def test_a_whole_network_lacks_nothing():
    graph = composer.graph("resnet18")
    found = Sketch.of(graph)
    assert (found.root, found.problems, dict(found.unfinished)) == (graph.root, (), {})


def test_what_does_not_need_the_failing_node_is_there():
    nodes = {
        "a": CONV,
        "bad": BAD,
        "after": "relu",
        "other": {**CONV, "from": "a"},
        "sum": {"op": "add", "from": ["after", "other"]},
    }
    found = sketch_of({"input": [4, 8, 8], "nodes": nodes})
    assert list(found.root.nodes) == ["a", "other"]
    assert missing(found) == {"bad": True, "after": False, "sum": False}
    assert found.unfinished[""].missing["sum"].inputs == ("after", "other")
    assert found.unfinished[""].missing["bad"].problems == found.problems
    assert found.problem_at["bad"].code == "misfit"


def test_blocks_and_repeats_are_there_as_far_as_they_come():
    block = {"nodes": {"a": CONV, "bad": {"op": "max_pool", "kernel_size": 5, "stride": 5, "padding": 0}}}
    spec = {"input": [8, 30, 30], "blocks": {"b": block}, "nodes": {"x": {"block": "b", "repeat": 4}, "y": "relu"}}
    found = sketch_of(spec)
    assert missing(found) == {"x": True, "y": False}
    assert list(found.unfinished["x"].scope.nodes) == ["0", "1"]
    assert missing(found, "x") == {"2": True}
    assert list(found.unfinished["x.2"].scope.nodes) == ["a"]
    assert missing(found, "x.2") == {"bad": True}
    assert set(found.unfinished) == {"", "x", "x.2"}


def test_an_inline_repeat_lacks_the_copy_that_failed():
    pool = {"op": "max_pool", "kernel_size": 5, "stride": 5, "padding": 0}
    nodes = {"p": {**pool, "repeat": 4, "as": "p${index}", "inline": True}, "y": "relu"}
    found = sketch_of({"input": [8, 30, 30], "nodes": nodes})
    assert list(found.root.nodes) == ["p0", "p1"]
    assert missing(found) == {"p2": True, "y": False}
    assert found.unfinished[""].missing["p2"].inputs == ("p1",)
    assert found.unfinished[""].missing["y"].inputs == ("p2",)


def test_every_instance_of_a_failing_line_has_its_problem():
    spec = {
        "input": [4, 8, 8],
        "blocks": {"b": {"nodes": {"bad": BAD}}},
        "nodes": {"x": {"block": "b"}, "y": {"block": "b", "from": "input"}, "z": {"op": "add", "from": ["x", "y"]}},
    }
    found = sketch_of(spec)
    assert len(found.problems) == 1
    assert [len(found.unfinished[path].missing["bad"].problems) for path in ("x", "y")] == [1, 1]


def test_a_circle_is_there_without_its_end():
    found = sketch_of({"input": [4, 8, 8], "nodes": {"a": {"op": "add", "from": ["input", "b"]}, "b": "relu"}})
    assert not found.root.nodes
    assert missing(found) == {"a": True, "b": False}


def test_unused_nodes_are_there_with_their_problem():
    found = sketch_of({"input": [4, 8, 8], "nodes": {"a": "relu", "b": {"op": "relu", "from": "input"}}})
    assert list(found.root.nodes) == ["a", "b"]
    assert found.problem_at["a"].code == "unused"


def test_rules_that_fit_are_applied_and_others_named():
    rules = [{"use": "se", "after": "branch"}, {"use": "se", "after": "nowhere"}, {"use": "bam", "after": "layer1"}]
    found = sketch_of({"backbone": "resnet18", "attention": rules})
    inserted = {node.rule for node in found.root.walk()}
    assert inserted == {None, 0, 2}
    assert [problem.code for problem in found.problems] == ["no-match"]


def test_the_outputs_that_were_asked_for_are_taken():
    rules = [{"use": "se", "after": "nowhere"}]
    found = sketch_of({"backbone": "resnet18", "attention": rules, "outputs": {"c3": "layer2"}})
    assert dict(found.root.outputs) == {"c3": "layer2"}
    assert "layer3" not in found.root.nodes


def test_too_large_a_network_is_there_as_far_as_it_may_be():
    loaded = composer.load("resnet18")
    with pytest.raises(GraphError) as caught:
        composer.graph(loaded, max_nodes=10)
    found = sketch(loaded, caught.value.diagnostics, Limits(nodes=10))
    assert list(found.root.nodes) == ["conv1", "bn1", "act1", "maxpool"]
    assert [problem.code for problem in found.problems] == ["budget"]
