"""What later steps say of the axes of tensors before them, where those steps themselves do not tell."""

from __future__ import annotations

from dataclasses import replace

from composer.dag.host import HostOperation, HostScope
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.hosts.recording.frames import Step


def tell_from_sum(scope: HostScope, nodes: dict[str, Node], step: Step) -> None:
    """What is added to a tensor of the same shape has its axes, such as windows that became a map again.

    nodes  those of the scope up to the step; the one that gives the other operand is replaced, and layers before it
    """
    if step.call is None or step.call.target != "add" or len(step.inputs) != 2:
        return
    first, second = (scope.tensor(one) for one in step.inputs)
    if first.shape != second.shape or (first.layout is None) == (second.layout is None):
        return
    known, name = (second, step.inputs[0]) if first.layout is None else (first, step.inputs[1])
    while name in nodes and _gives(nodes[name], known):
        node = nodes[name]
        nodes[name] = replace(node, output=known)
        # A layer without parts keeps the axes of what it takes: a drop path, a scale.
        name = node.inputs[0] if _is_layer(node) else ""


def tell_grid(scope: HostScope, nodes: dict[str, Node], taken: TensorSpec) -> None:
    """Tokens that a module gives have the grid of those that it takes, if they are as many: it is an attention, say.

    nodes  those of the module's scope, of which the last is replaced
    taken  its first input
    """
    names = list(dict.fromkeys(scope.outputs.values()))
    if len(names) != 1 or names[0] not in nodes or taken.grid is None:
        return
    node = nodes[names[0]]
    output = node.output
    if isinstance(node.content, Scope) or not isinstance(output, TensorSpec) or output.grid is not None:
        return
    if output.is_followed:
        # The steps say where each token stands: in another order, such as window by window.
        return
    if (output.layout, output.shape) == (taken.layout, taken.shape):
        nodes[names[0]] = replace(node, output=taken)


def _gives(node: Node, known: TensorSpec) -> bool:
    """Whether a node's only tensor has the shape of one whose axes are known, and none of its own."""
    output = node.output
    if isinstance(node.content, Scope) or not isinstance(output, TensorSpec):
        return False
    return output.layout is None and output.shape == known.shape


def _is_layer(node: Node) -> bool:
    content = node.content
    return isinstance(content, HostOperation) and content.call is not None and not content.call.function
