"""Which activations may overwrite their input: saves the memory of a tensor, and the numbers stay the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from composer.dag.scope import Node, Scope

# Operations of these kinds return a new tensor that their own gradients do not need.
_FRESH = frozenset({"conv", "linear", "norm", "merge"})


def overwriting(scope: Scope) -> Collection[str]:
    """Names of the activations in a scope that are the only consumer of the node before them.

    An activation that several nodes call is none: what is fresh for one of them need not be for another.
    """
    shared = {node.calls for node in scope.nodes.values()}
    taken = Counter(reference for node in scope.nodes.values() for reference in node.inputs)
    taken.update(scope.outputs.values())
    return {
        name
        for name, node in scope.nodes.items()
        if _is_ours(node, {"activation"})
        and node.calls is None
        and name not in shared
        and taken[node.inputs[0]] == 1
        and node.inputs[0] in scope.nodes
        and _is_ours(scope.nodes[node.inputs[0]], _FRESH)
    }


def _is_ours(node: Node, kinds: Collection[str]) -> bool:
    """Whether a node is composer's own operation of these kinds; a plugin's layer may return its input."""
    return node.entry is not None and node.entry.is_own and node.entry.kind in kinds
