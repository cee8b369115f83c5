"""Which nodes of a scope become modules, and whether these run one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from composer.dag.order import node_of
from composer.dag.scope import Node, Scope
from composer.registry import ModuleEntry, ParameterEntry
from composer.spec.sites import HEAD


def is_chain(scope: Scope) -> bool:
    """Whether the scope has one input, and each node is a module of its own that takes the one before it alone."""
    own = len(scope.inputs) == 1 and not scope.held and all(node.calls is None for node in scope.nodes.values())
    return own and scope.attention is None and _is_sequence(scope, scope.nodes, list(scope.outputs))


def beside(scope: Scope) -> frozenset[str]:
    """Names of the modules that rules put among the scope's own, and of those that it only holds."""
    added = (name for name, node in scope.nodes.items() if node.place is not None and _is_module(node))
    return frozenset((*added, *scope.held))


def is_indexed(scope: Scope) -> bool:
    """Whether the scope is a chain but for further inputs, what rules put into it, and what it passes outward."""
    own = {name: node for name, node in scope.nodes.items() if node.place is None}
    return _is_sequence(scope, own, scope.main_outputs)


def _is_sequence(scope: Scope, nodes: Mapping[str, Node], outputs: Sequence[str]) -> bool:
    """Whether these nodes of a scope are a chain from its first input on; its further inputs do not count.

    A node that is not among them stands for its first input.
    """

    def source(reference: str) -> str:
        name = node_of(reference)
        while name in scope.nodes and name not in nodes:
            name = node_of(scope.nodes[name].inputs[0])
        return name

    current, *further = scope.inputs
    for name, node in nodes.items():
        taken = [source(one) for one in node.inputs if one not in further]
        if not (_is_module(node) or node.content is None) or taken != [current]:
            return False
        current = name
    return [source(scope.outputs[name]) for name in outputs] == [current]


def modules(scope: Scope) -> dict[str, Node]:
    """The nodes of a scope that become modules. A classifier that was left out becomes an nn.Identity.

    A node that calls the module of another is none.
    """
    used = {node_of(one) for node in scope.nodes.values() for one in node.inputs} | set(scope.outputs.values())
    return {
        name: node
        for name, node in scope.parts.items()
        if (_is_module(node) and node.calls is None) or (node.content is None and HEAD in node.sites and name in used)
    }


def is_child(node: Node) -> bool:
    """Whether a node becomes a child of the module of its scope, be it a module or a parameter."""
    return node.calls is None and (_is_module(node) or isinstance(node.entry, ParameterEntry))


def _is_module(node: Node) -> bool:
    return isinstance(node.content, Scope) or isinstance(node.entry, ModuleEntry)
