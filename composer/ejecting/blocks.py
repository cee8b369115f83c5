"""Which blocks of a network become classes, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import networkx as nx

from composer.compile.parts import is_chain
from composer.dag.scope import Node, Scope


def is_sequence(scope: Scope, counts: Mapping[str, int]) -> bool:
    """Whether a scope is written as an nn.Sequential: a chain, unless its layers have names and it occurs again.

    counts  block -> how often it occurs in the network
    """
    if not is_chain(scope) or counts[scope.block] < 2 or scope.block == "repeat" or len(scope.parts) < 3:
        return is_chain(scope)
    return all(name.isdigit() for name in scope.parts) or any(_is_row(node) for node in scope.walk())


def _is_row(node: Node) -> bool:
    """Whether a node is a row of layers that may be longer in another block."""
    return isinstance(node.content, Scope) and (node.content.block == "repeat" or "0" in node.content.nodes)


def counted(root: Scope) -> Counter[str]:
    """How often each block occurs."""
    return Counter(node.content.block for node in root.walk() if isinstance(node.content, Scope))


def by_block(root: Scope, counts: Mapping[str, int]) -> Iterable[list[Scope]]:
    """The scopes that become classes, a list for each block, blocks inside others first, the network itself last."""
    scopes: dict[str, list[Scope]] = {}
    inside: nx.DiGraph[str] = nx.DiGraph()

    def visit(scope: Scope, around: str, node: Node | None) -> None:
        name = around
        if not is_sequence(scope, counts) or node is None:
            name = family(scope, node)
            scopes.setdefault(name, []).append(scope)
            inside.add_node(name)
            if around:
                inside.add_edge(name, around)
        for one in scope.parts.values():
            if isinstance(one.content, Scope) and one.calls is None and one.owns:
                visit(one.content, name, one)

    visit(root, "", None)
    if not nx.is_directed_acyclic_graph(inside):
        # A block with another of its name inside: as many levels as they are deep.
        for height in sorted({_height(one) for some in scopes.values() for one in some}):
            for some in scopes.values():
                if found := [one for one in some if _height(one) == height]:
                    yield found
        return
    for name in nx.topological_sort(inside):
        yield scopes[name]


def _height(scope: Scope) -> int:
    """How many levels of scopes are inside."""
    inner = [node.content for node in scope.parts.values() if isinstance(node.content, Scope)]
    return 1 + max(map(_height, inner), default=0)


def family(scope: Scope, node: Node | None) -> str:
    """The block of a scope; a repeat is named by its node."""
    if node is None:
        return "network"
    return f"{node.name} repeated" if scope.block == "repeat" else scope.block
