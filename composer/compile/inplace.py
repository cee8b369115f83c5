"""Which activations may overwrite their input: memory for one tensor less, with the same numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from composer.dag.scope import Node, Scope

# What these give is a fresh tensor, which their own gradients do not need.
_FRESH = frozenset({"conv", "linear", "norm", "merge"})


def overwriting(scope: Scope) -> Collection[str]:
    """Names of the activations of a scope that are all that takes what the node before them gives."""
    taken = Counter(reference for node in scope.nodes.values() for reference in node.inputs)
    taken.update(scope.outputs.values())
    return {
        name
        for name, node in scope.nodes.items()
        if _is_ours(node, {"activation"})
        and taken[node.inputs[0]] == 1
        and node.inputs[0] in scope.nodes
        and _is_ours(scope.nodes[node.inputs[0]], _FRESH)
    }


def _is_ours(node: Node, kinds: Collection[str]) -> bool:
    """A plugin's layer may give back its input itself, so only composer's own are known."""
    return node.entry is not None and node.entry.is_own and node.entry.kind in kinds
