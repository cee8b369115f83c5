"""The γ of `start: identity`: found by what it does in the graph, whatever it is called."""

from __future__ import annotations

from composer.dag.scope import Node, Operation, Scope

# y = host + γ·(changed − host)
BLEND = "blend"


def gamma_of(scope: Scope, mechanism: Node) -> Node | None:
    """The parameter by which a rule's mechanism is blended in; None where the rule starts as itself.

    What a rule puts between the mechanism and its blend, as what turns tokens into a map again, is the rule's own.
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
