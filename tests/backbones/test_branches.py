"""Every residual add of the zoo has one `branch`: the operand that is not the input, through scale and drop path."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import composer
from composer.dag.scope import Scope
from composer.spec import zoo
from composer.spec.references import family

FAMILIES = sorted({family(name) for name in zoo.backbones()})


def scopes(scope: Scope) -> Iterator[Scope]:
    yield scope
    for node in scope.nodes.values():
        if isinstance(node.content, Scope):
            yield from scopes(node.content)


def name_of(reference: str) -> str:
    return reference.partition(".")[0]


def inputs_behind(scope: Scope) -> dict[str, set[str]]:
    """The inputs of the scope that each input and node is computed from."""
    found = {name: {name} for name in scope.inputs}
    for name, node in scope.nodes.items():
        found[name] = set().union(*(found[name_of(one)] for one in node.inputs))
    return found


def carries_the_input(scope: Scope, reference: str, before: list[str]) -> bool:
    """Whether a reference is the scope's input, its shortcut, or the sum of an earlier branch and these."""
    name = name_of(reference)
    if name in scope.inputs or name in before:
        return True
    node = scope.nodes[name]
    if "shortcut" in node.sites:
        return True
    return node.content is None and carries_the_input(scope, node.inputs[0], before)


def branches_of_adds(scope: Scope) -> list[str]:
    """Per residual add of a scope, its operand that is not the input."""
    origins = inputs_behind(scope)
    adds: list[str] = []
    found: list[str] = []
    for node in scope.nodes.values():
        # The sum of what comes from different inputs fuses them, and none of them is a shortcut.
        if node.op != "add" or not set.intersection(*(origins[name_of(one)] for one in node.inputs)):
            continue
        others = [one for one in node.inputs if not carries_the_input(scope, one, adds)]
        if len(others) < len(node.inputs):
            assert len(others) == 1, node.path
            adds.append(node.name)
            found += others
    return found


@pytest.mark.parametrize("name", [*FAMILIES, "resnet18", "efficientnetv2_s", "deit_tiny_distilled_patch16_224"])
def test_the_operand_of_each_residual_add_that_is_not_its_input_is_the_branch(name: str) -> None:
    for scope in scopes(composer.graph(name).root):
        if adds := branches_of_adds(scope):
            tagged = [node.name for node in scope.nodes.values() if "branch" in node.sites]
            assert tagged == adds, scope.path


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # Two per block, of attention and of the perceptron.
        ("vit_tiny_patch16_224", 2 * 12),
        ("swin_tiny_patch4_window7_224", 2 * (2 + 2 + 6 + 2)),
        ("convnext_tiny", 3 + 3 + 9 + 3),
        # Three per block with two inputs, two per block of the class token.
        ("xcit_nano_12_p16_224", 3 * 12 + 2 * 2),
        ("resnet50", 3 + 4 + 6 + 3),
    ],
)
def test_the_number_of_branches_is_that_of_residual_adds(name: str, count: int) -> None:
    graph = composer.graph(name)
    assert len(graph.places.select("branch")) == count
    assert sum(len(branches_of_adds(scope)) for scope in scopes(graph.root)) == count


def test_a_branch_ends_behind_its_scale_and_its_drop_path() -> None:
    unit = composer.graph("convnext_tiny").places.select("branch")[0].scope.nodes
    assert (unit["add"].inputs, unit["channels_first"].inputs, unit["scale"].op) == (
        ("channels_first", "input"),
        ("scale",),
        "mul",
    )
    drops = composer.graph("swin_tiny_patch4_window7_224").places.select("branch")
    # The first block drops nothing.
    assert [place.node.op for place in drops[:3]] == ["pass", "pass", "drop_path"]
