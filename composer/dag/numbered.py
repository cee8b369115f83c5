"""A block with operations numbered as a plain sequence, however deep the spec nests them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from composer.dag.scope import Node, Scope


class NotASequence(Exception):
    """A node has another input than the node before it; the message names the node."""


def numbered(scope: Scope) -> Scope:
    """A scope whose nodes are all its operations, also those of inner scopes: 0, 1, 2 … in the order in which they run.

    A site of an inner scope goes to its last operation, where that stage or block ends. Raises NotASequence.
    """
    nodes: dict[str, Node] = {}
    source = next(iter(scope.inputs))
    for index, leaf in enumerate(_leaves(scope)):
        name = str(index)
        nodes[name] = replace(leaf, name=name, path=f"{scope.path}.{name}", inputs=(source,))
        source = name
    return replace(scope, nodes=nodes, outputs=dict.fromkeys(scope.outputs, source))


def _leaves(scope: Scope) -> Iterator[Node]:
    current = next(iter(scope.inputs))
    for node in scope.nodes.values():
        if node.inputs != (current,):
            raise NotASequence(f"`{node.path}` does not take just what the node before it gives")
        current = node.name
        if isinstance(node.content, Scope):
            yield from _tagged(list(_leaves(node.content)), node.sites)
        elif node.content is not None:
            yield node
    if list(scope.outputs.values()) != [current]:
        raise NotASequence(f"`{scope.path}` gives something else than its last node")


def _tagged(leaves: list[Node], sites: tuple[str, ...]) -> list[Node]:
    return [*leaves[:-1], *(replace(leaf, sites=(*leaf.sites, *sites)) for leaf in leaves[-1:])]
