"""Nodes and scopes at another path: equal blocks, and equal networks inside a network, are made once and moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from composer.dag.host import HostScope
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec

# A path -> the path in its place.
Move = Callable[[str], str]


def moved(node: Node, path: str) -> Node:
    """The node at another path, with all that is inside it."""
    return _node(node, _to(path, node.path))


def moved_scope(scope: Scope, path: str) -> Scope:
    """The scope at another path, with all that is inside it."""
    return _scope(scope, _to(path, scope.path))


def under(scope: Scope, prefix: str, first_rule: int) -> Scope:
    """The scope with all its paths under a prefix, and its rules counted from `first_rule`."""
    return _scope(scope, lambda path: f"{prefix}.{path}" if path else prefix, first_rule)


def _to(path: str, old: str) -> Move:
    inside = f"{old}."
    return lambda one: path + one.removeprefix(old) if one == old or one.startswith(inside) else one


def _scope(scope: Scope, move: Move, first_rule: int = 0) -> Scope:
    if isinstance(scope, HostScope) and scope.whole is not None:
        whole = _scope(scope.whole, move, first_rule)
        scope = replace(scope, whole=whole if isinstance(whole, HostScope) else None)
    return replace(
        scope,
        path=move(scope.path),
        nodes={name: _node(node, move, first_rule) for name, node in scope.nodes.items()},
        held={name: _node(node, move, first_rule) for name, node in scope.held.items()},
    )


def _node(node: Node, move: Move, first_rule: int = 0) -> Node:
    content = node.content
    return replace(
        node,
        path=move(node.path),
        rule=None if node.rule is None else node.rule + first_rule,
        content=_scope(content, move, first_rule) if isinstance(content, Scope) else content,
        output=_output(node.output, move),
        shares={child: move(owner) for child, owner in node.shares.items()} if node.shares else node.shares,
    )


def _output(output: TensorSpec | Mapping[str, TensorSpec], move: Move) -> TensorSpec | Mapping[str, TensorSpec]:
    """The output, whose tokens name the node behind which their grid is no longer known."""
    if not isinstance(output, TensorSpec):
        return {name: _tensor(tensor, move) for name, tensor in output.items()}
    return _tensor(output, move)


def _tensor(tensor: TensorSpec, move: Move) -> TensorSpec:
    return replace(tensor, lost=move(tensor.lost)) if tensor.lost else tensor
