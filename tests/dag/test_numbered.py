"""Numbered blocks, and stages and blocks that end with a node instead of being one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import composer


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "input": [3, 16, 16],
        "vars": {"norm": True},
        "blocks": {
            "unit": {
                "site": "block",
                "args": {"out": None},
                "nodes": {
                    "conv": {"op": "conv2d", "out_channels": "$out", "kernel_size": 3},
                    "norm": {"op": "batch_norm", "when": "$norm"},
                    "act": "relu",
                },
            },
            "stage": {
                "site": "stage",
                "args": {"out": None},
                "nodes": {"units": {"block": "unit", "repeat": 2, "inline": True, "args": {"out": "$out"}}},
            },
            "level": {
                "args": {"out": None},
                "nodes": {
                    "stage": {"block": "stage", "args": {"out": "$out"}},
                    "pool": {"op": "max_pool", "kernel_size": 2},
                },
            },
            "all": {
                "numbered": True,
                "nodes": {
                    "stem": {"op": "conv2d", "out_channels": 4, "kernel_size": 1},
                    "levels": {"block": "level", "repeat": 2, "args": {"out": "${4 * (index + 1)}"}},
                },
            },
        },
        "nodes": {"features": {"block": "all"}, "head": "global_avg_pool"},
        **changes,
    }


def test_operations_are_numbered_as_they_run_and_what_is_left_out_takes_no_number() -> None:
    model = composer.build(spec())
    ops = [node.op for node in model.graph.root.nodes["features"].content.nodes.values()]
    unit = ["conv2d", "batch_norm", "relu"]
    assert ops == ["conv2d", *2 * unit, "max_pool", *2 * unit, "max_pool"]
    assert isinstance(model.features, torch.nn.Sequential)
    assert set(dict(model.named_parameters())) >= {"features.0.weight", "features.1.weight", "features.12.bias"}
    plain = composer.build(spec(vars={"norm": False}))
    assert set(plain.state_dict()) == {f"features.{index}.weight" for index in (0, 1, 3, 6, 8)}
    nested = spec()
    nested["blocks"]["all"]["numbered"] = False
    x = torch.randn(2, 3, 16, 16)
    twin = composer.build(nested)
    twin.load_state_dict(dict(zip(twin.state_dict(), model.state_dict().values(), strict=True)))
    assert torch.equal(twin(x), model(x))


def test_stages_and_blocks_end_with_their_last_operation() -> None:
    graph = composer.graph(spec())
    assert graph.places.sites == {"block": 4, "stage": 2}
    inside = {place.node.name: (place.stage, place.block) for place in graph.places if "." in place.node.path}
    first, second = [(1, 1)] * 4 + [(1, 2)] * 3, [(2, 1)] * 4 + [(2, 2)] * 3
    assert list(inside.values()) == [*first, *second, (None, None)]
    tagged = {place.node.name: place.node.sites for place in graph.places if place.node.sites}
    assert tagged == {"3": ("block",), "6": ("block", "stage"), "10": ("block",), "13": ("block", "stage")}
    assert {place.num_stages for place in graph.places} == {2}


def test_rules_know_the_stages() -> None:
    rules = [
        {"use": "se", "after": "block", "where": "stage == num_stages"},
        {"use": "bam", "after": "stage", "where": "not last"},
        {"use": "condconv", "replace": "features.*", "where": "stage == 1 and op == 'conv2d' and block == 2"},
    ]
    graph = composer.graph(spec(attention=rules))
    assert list(graph.inserted) == ["features.4", "features.at6_bam", "features.at10_se", "features.at13_se"]


def test_a_stage_may_end_with_a_block_that_has_a_module() -> None:
    unit = {"site": "block", "nodes": {"act": "relu"}}
    nodes = {
        "stem": "relu",
        "one": {"block": "unit"},
        "two": {"block": "unit", "site": "stage"},
        "pool": {"op": "max_pool", "kernel_size": 2},
        "three": {"block": "unit", "site": "stage"},
        "head": "global_avg_pool",
    }
    places = composer.graph({"input": [3, 16, 16], "blocks": {"unit": unit}, "nodes": nodes}).places
    found = {place.node.path: (place.stage, place.block) for place in places}
    assert found == {
        "stem": (None, None),
        "one": (1, 1),
        "one.act": (1, 1),
        "two": (1, 2),
        "two.act": (1, 2),
        "pool": (None, None),
        "three": (2, 1),
        "three.act": (2, 1),
        "head": (None, None),
    }


@pytest.mark.parametrize(
    "nodes", [{"a": "relu", "b": {"op": "add", "from": ["input", "a"]}}, {"a": "relu", "b": "relu"}]
)
def test_only_a_chain_can_be_numbered(nodes: dict[str, Any]) -> None:
    block: dict[str, Any] = {"numbered": True, "nodes": nodes}
    if nodes["b"] == "relu":
        block["outputs"] = {"first": "a", "second": "b"}
    with pytest.raises(composer.GraphError, match="only a chain of nodes can be numbered"):
        composer.graph({"input": [3, 8, 8], "blocks": {"all": block}, "nodes": {"x": {"block": "all"}, "y": "relu"}})
