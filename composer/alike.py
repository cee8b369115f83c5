"""Finds nodes that are alike: they have equal content and equal shapes, wherever they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec


@dataclass
class Alike:
    """Gives alike nodes the same number, in all graphs that it numbers. Takes time linear in the number of nodes.

    Operations are alike if their options and shapes are equal; scopes if the nodes, names and wiring in them are equal.
    Their own names, sites and lines do not count; with `rules`, the attention rules that inserted them count.
    """

    rules: bool = False
    known: dict[Any, int] = field(default_factory=dict)

    def numbers(self, root: Scope) -> dict[str, int]:
        """Path -> number of every node in a scope, also in inner scopes."""
        found: dict[str, int] = {}
        self._scope(root, found)
        return found

    def _scope(self, scope: Scope, found: dict[str, int]) -> int:
        nodes = tuple((name, self._node(node, scope, found), node.inputs) for name, node in scope.nodes.items())
        held = tuple((name, self._node(node, scope, found)) for name, node in scope.held.items())
        return self._number((scope.block, _items(scope.inputs), nodes, held, _items(scope.outputs)))

    def _node(self, node: Node, scope: Scope, found: dict[str, int]) -> int:
        content: Any
        if isinstance(node.content, Scope):
            content = self._scope(node.content, found)
        elif isinstance(node.content, Operation):
            content = node.content.key
        else:
            content = None
        taken = tuple(scope.tensor(reference) for reference in node.inputs)
        given = node.output if isinstance(node.output, TensorSpec) else _items(node.output)
        # The name alone, not the path: what is inside one call of a block is alike as in any other.
        shared = node.calls, tuple(node.shares)
        number = self._number((content, taken, given, shared, node.rule if self.rules else None))
        found[node.path] = number
        return number

    def _number(self, key: Any) -> int:
        return self.known.setdefault(key, len(self.known))


def _items(mapping: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(mapping.items())
