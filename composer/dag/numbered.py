"""A block whose operations are numbered as one plain sequence, however its text nests them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from composer.dag.scope import Node, Scope
from composer.errors import Mistakes
from composer.spec.origin import Origin


def numbered(scope: Scope, origin: Origin) -> Scope:
    """Every operation of a scope, and of those inside it, as a node of its own: 0, 1, 2 … in the order they run.

    A site of a scope inside goes to its last operation, where that stage or block ends. Raises Mistakes
    where a node does not simply take what the one before it gave, pointing at `origin`.
    """
    nodes: dict[str, Node] = {}
    source = next(iter(scope.inputs))
    for index, leaf in enumerate(_leaves(scope, origin, scope.path)):
        name = str(index)
        nodes[name] = replace(leaf, name=name, path=f"{scope.path}.{name}", inputs=(source,))
        source = name
    return replace(scope, nodes=nodes, outputs=dict.fromkeys(scope.outputs, source))


def _leaves(scope: Scope, origin: Origin, path: str) -> Iterator[Node]:
    def broken(text: str) -> Mistakes:
        return Mistakes(origin.problem("numbered", text, "only a chain of nodes can be numbered", path=path))

    current = next(iter(scope.inputs))
    for node in scope.nodes.values():
        if node.inputs != (current,):
            raise broken(f"`{node.path}` does not take just what the node before it gives")
        current = node.name
        if isinstance(node.content, Scope):
            yield from _tagged(list(_leaves(node.content, origin, path)), node.sites)
        elif node.content is not None:
            yield node
    if list(scope.outputs.values()) != [current]:
        raise broken(f"`{scope.path}` gives something else than its last node")


def _tagged(leaves: list[Node], sites: tuple[str, ...]) -> list[Node]:
    return [*leaves[:-1], *(replace(leaf, sites=(*leaf.sites, *sites)) for leaf in leaves[-1:])]
