"""Scopes of one form have one plan, which is the plan that each would have alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import composer
from composer.compile.classes import class_of
from composer.compile.code import class_code
from composer.compile.parts import is_chain
from composer.compile.plan import Contents, form_of, plan_of
from composer.dag.host import HostScope
from composer.dag.scope import Scope

NETWORKS = (
    *("hrnet_w18_small", "mobilevit_xxs", "densenet121", "xcit_nano_12_p16_224", "mobilenetv3_small_100"),
    *("papers/cbam/resnet50", "papers/mhsa/resnet50", "segmentation/attention_unet", "segmentation/unet_resnet34"),
)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shared_plan_is_the_one_that_each_scope_would_have_alone(name: str) -> None:
    root = composer.graph(name).root
    for scope in scopes(root):
        if scope is root or isinstance(scope, HostScope):
            continue
        plan = plan_of(scope)
        assert plan.contents == Contents.of(scope)
        assert is_chain(scope) or plan.kind is class_of(class_code(scope)), scope.path


def test_a_network_of_equal_blocks_has_few_plans() -> None:
    found = [one for one in scopes(composer.graph("hrnet_w18_small").root) if one.path]
    assert len({form_of(one) for one in found}) * 2 < len(found)


def test_what_the_code_says_is_in_the_form() -> None:
    def block(**changes: object) -> Scope:
        nodes = {
            "conv": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
            "act": "relu",
            "cat": {"op": "concat", "from": ["conv", "act"], **changes},
            "down": {"op": "conv2d", "out_channels": 8, "kernel_size": 1},
        }
        graph = composer.graph({"input": [8, 8, 8], "blocks": {"b": {"nodes": nodes}}, "nodes": {"b": {"block": "b"}}})
        (scope,) = (one for one in scopes(graph.root) if one.path == "b")
        return scope

    plain = block()
    assert form_of(plain) == form_of(block())
    for other in (block(**{"from": ["act", "conv"]}), block(axis=3), block(site="head")):
        assert form_of(plain) != form_of(other)


def test_a_scope_whose_code_names_paths_has_a_form_of_its_own() -> None:
    graph = composer.graph("resnet18").root
    taken = composer.features("resnet18", {"inside": "layer2.0.conv1", "end": "layer4"}).graph.root
    assert all(form_of(one) is not None for one in scopes(graph))
    assert [one.path for one in scopes(taken) if form_of(one) is None] == ["", "layer2", "layer2.0"]


def scopes(scope: Scope) -> Iterator[Scope]:
    yield scope
    for node in scope.nodes.values():
        if isinstance(node.content, Scope):
            yield from scopes(node.content)
