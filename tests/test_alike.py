"""Which nodes are alike: content and shapes decide; names, sites and lines do not."""

from __future__ import annotations

import composer
from composer.alike import Alike

CONV = {"op": "conv2d", "out_channels": 4, "kernel_size": 3}


def numbers(nodes, alike=None, **more):
    graph = composer.graph({"input": [4, 8, 8], "nodes": nodes, **more})
    return (alike or Alike()).numbers(graph.root)


def test_operations():
    found = numbers(
        {
            "a": CONV,
            "b": {**CONV, "site": "stem", "bias": False},
            "other_option": {**CONV, "groups": 2},
            "act": "relu",
            "halved": {**CONV, "stride": 2},
            "other_shape": CONV,
        }
    )
    assert found["a"] == found["b"]
    assert len({found[name] for name in found}) == 5


def test_scopes_are_what_they_hold():
    blocks = {
        "one": {"nodes": {"x": CONV, "y": "relu"}},
        "same": {"nodes": {"x": CONV, "y": "relu"}},
        "names": {"nodes": {"x": CONV, "z": "relu"}},
        "wiring": {"nodes": {"x": CONV, "y": {"op": "add", "from": ["x", "input"]}}},
        "swapped": {"nodes": {"x": CONV, "y": {"op": "add", "from": ["input", "x"]}}},
    }
    nodes = {f"{name}_{index}": {"block": name} for index in (0, 1) for name in blocks}
    found = numbers(nodes, blocks=blocks)
    assert all(found[f"{name}_0"] == found[f"{name}_1"] for name in blocks)
    # Of another block, it is another scope, though its nodes are alike.
    assert found["one_0"] != found["same_0"]
    assert found["one_0.x"] == found["same_0.x"] == found["names_1.x"]
    assert len({found[f"{name}_0"] for name in blocks}) == 5


def test_rules_matter_only_where_they_are_asked_for():
    nodes = {"conv": CONV, "conv_se": "se", "act": "relu"}
    rule = {"attention": [{"use": "se", "after": "conv"}]}
    for rules in (False, True):
        alike = Alike(rules=rules)
        written = numbers(nodes, alike)
        inserted = numbers({"conv": CONV, "act": "relu"}, alike, **rule)
        assert (written["conv_se"] == inserted["conv_se"]) is not rules
        assert written["conv"] == inserted["conv"]
