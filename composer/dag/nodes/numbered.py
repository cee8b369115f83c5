"""A block with operations numbered as a plain sequence, however deep the spec nests them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from composer.dag.scope import Node, Scope
from composer.errors import Mistakes
from composer.spec.origin import Origin


def numbered(scope: Scope, origin: Origin) -> Scope:
    """A scope whose nodes are all its operations, also those of inner scopes: 0, 1, 2 … in the order in which they run.

    A site of an inner scope goes to its last operation, where that stage or block ends. Raises Mistakes, pointing at
    `origin`, if a node has another input than the node before it.
    """
    nodes: dict[str, Node] = {}
    source = next(iter(scope.inputs))
    for index, leaf in enumerate(_leaves(scope, origin, scope.path)):
        name = str(index)
        # What adapts a mechanism's layout has numbers of its own, so no name leads from the mechanism to it.
        nodes[name] = replace(leaf, name=name, path=f"{scope.path}.{name}", inputs=(source,), tail=None)
        source = name
    return replace(scope, nodes=nodes, outputs=dict.fromkeys(scope.outputs, source))


def _leaves(scope: Scope, origin: Origin, path: str) -> Iterator[Node]:
    def broken(text: str) -> Mistakes:
        return Mistakes(origin.problem("numbered", text, "only a chain of nodes can be numbered", path=path))

    current = next(iter(scope.inputs))
    for node in scope.nodes.values():
        if node.inputs != (current,):
            raise broken(f"`{node.path}` does not take just what the node before it gives")
        if node.calls is not None:
            raise broken(f"`{node.path}` calls the module of `{node.calls}`, so it has no number of its own")
        current = node.name
        if isinstance(node.content, Scope):
            yield from _tagged(list(_leaves(node.content, origin, path)), node.sites)
        elif node.content is not None:
            yield node
    if list(scope.outputs.values()) != [current]:
        raise broken(f"`{scope.path}` gives something else than its last node")


def _tagged(leaves: list[Node], sites: tuple[str, ...]) -> list[Node]:
    return [*leaves[:-1], *(replace(leaf, sites=(*leaf.sites, *sites)) for leaf in leaves[-1:])]
