"""Finds the γ of `start: identity` by its role in the graph; its name does not matter."""

from __future__ import annotations

from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope

# y = host + γ·(changed − host)
BLEND = "blend"


def gamma_of(scope: Scope, mechanism: Node) -> Node | None:
    """The parameter γ that blends in a rule's mechanism; None if the rule does not `start: identity`.

    Nodes between the mechanism and its blend, such as those that turn tokens into a map, are skipped.
    """
    current = mechanism
    while True:
        mine = [node for node in scope.nodes.values() if current.name in node.inputs and node.rule == mechanism.rule]
        for node in mine:
            if isinstance(node.content, Operation) and node.op == BLEND and node.inputs[1] == current.name:
                return scope.nodes.get(node.inputs[2])
        if mechanism.rule is None or len(mine) != 1:
            return None
        current = mine[0]
