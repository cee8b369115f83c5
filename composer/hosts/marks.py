"""What tells an inserted node apart from all others, whatever other rules do to its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from composer.dag.scope import Node, Scope


class Mark(NamedTuple):
    """An inserted node: number of its rule, path of its scope, where the rule put it, and which of several there."""

    rule: int
    scope: str
    place: str
    number: int


def marked(root: Scope) -> Iterator[tuple[Mark, Node]]:
    """Every node that rules put into a tree, but those inside a block that a rule uses."""
    counted: Counter[tuple[int, str, str]] = Counter()
    yield from _marked(root, counted)


def _marked(scope: Scope, counted: Counter[tuple[int, str, str]]) -> Iterator[tuple[Mark, Node]]:
    for nodes, is_held in ((scope.nodes, False), (scope.held, True)):
        for node in nodes.values():
            if node.rule is None:
                if isinstance(node.content, Scope):
                    yield from _marked(node.content, counted)
                continue
            # What stands in for a node has that node's name.
            place = "held" if is_held else node.place or node.name
            key = node.rule, scope.path, place
            yield Mark(*key, counted[key]), node
            counted[key] += 1
