"""Blocks with equal arguments and inputs are elaborated once, and the others are as if each had been."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import composer
from composer.dag.nodes.elaborate import _Elaboration
from composer.errors import GraphError

UNIT = {"conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3, "site": "branch"}, "act": "relu"}


def chain(count: int, **more: Any) -> Mapping[str, Any]:
    nodes = {"units": {"block": "unit", "repeat": count}}
    return {"input": [8, 8, 8], "blocks": {"unit": {"nodes": UNIT}}, "nodes": nodes, **more}


def test_equal_blocks_are_elaborated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    plain = _Elaboration.new_instance
    monkeypatch.setattr(_Elaboration, "new_instance", lambda self, *given: made.append(given[0]) or plain(self, *given))
    graph = composer.graph(chain(5))
    assert made == ["unit"]
    assert [node.path for node, _ in graph.operations] == [f"units.{i}.{name}" for i in range(5) for name in UNIT]
    assert graph.num_parameters == 5 * 8 * 8 * 9


def test_numbers_that_are_equal_and_of_other_types_are_other_arguments() -> None:
    unit = {"args": {"dilation": 1}, "nodes": {"conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3}}}
    unit["nodes"]["conv"]["dilation"] = "$dilation"
    nodes = {"a": {"block": "unit", "args": {"dilation": 1}}, "b": {"block": "unit", "args": {"dilation": True}}}
    with pytest.raises(GraphError, match="`dilation` of `conv2d`"):
        composer.graph({"input": [8, 8, 8], "blocks": {"unit": unit}, "nodes": nodes})


def test_the_limit_is_reported_at_the_node_that_exceeds_it() -> None:
    with pytest.raises(GraphError) as caught:
        composer.graph(chain(5), max_nodes=9)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.path) == ("budget", "units.2.act")


def test_a_copy_names_its_own_node_where_the_grid_of_tokens_is_lost() -> None:
    nodes = {
        "tokens": {"op": "rearrange", "pattern": "b c h w -> b (h w) c"},
        "a": {"block": "unit", "from": "tokens"},
        "b": {"block": "unit", "from": "tokens"},
        "sum": {"op": "add", "from": ["a", "b"]},
    }
    unit = {"nodes": {"turn": {"op": "rearrange", "pattern": "b (h w) c -> b (w h) c", "sizes": {"h": 4}}}}
    graph = composer.graph({"input": [8, 4, 8], "blocks": {"unit": unit}, "nodes": nodes})
    lost = {node.path: node.tensor.lost for node, _ in graph.operations}
    assert (lost["a.turn"], lost["b.turn"]) == ("a.turn", "b.turn")


def test_rules_change_one_copy_alone() -> None:
    rule = {"use": "se", "after": "units.1.conv"}
    graph = composer.graph(chain(3, attention=[rule]))
    assert list(graph.inserted) == ["units.1.se"]
    model = composer.build(chain(3, attention=[rule]))
    assert [hasattr(unit, "se") for unit in model.units] == [False, True, False]
