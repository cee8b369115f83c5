"""How the module of a scope is made: its class, and the names of its children. Scopes of one form share a plan."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from torch import nn

from composer.compile.chain import Chain
from composer.compile.classes import class_of
from composer.compile.code import class_code
from composer.compile.inplace import overwriting
from composer.compile.parts import beside, is_chain, is_child, modules
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.registry import FunctionEntry
from composer.spec.sites import HEAD


@dataclass(frozen=True)
class Contents:
    """What goes into the module of a scope.

    children     names of the nodes that become its children or parameters, in order
    beside       those that rules put among the scope's own, and those that it only holds
    overwriting  those of activations that may overwrite their input
    """

    children: tuple[str, ...]
    beside: frozenset[str]
    overwriting: frozenset[str]

    @classmethod
    def of(cls, scope: Scope) -> Contents:
        """The contents of the module of a scope."""
        own = modules(scope)
        children = (name for name, node in scope.parts.items() if name in own or is_child(node))
        return cls(tuple(children), beside(scope), frozenset(overwriting(scope)))


@dataclass(frozen=True)
class Plan:
    """The class of the module of a scope, and what goes into it."""

    kind: type[nn.Module]
    contents: Contents


# Form of a scope -> its plan. A network has few forms, and whoever compares networks makes the same ones again.
_known: dict[Hashable, Plan] = {}
_MOST = 4096


def plan_of(scope: Scope) -> Plan:
    """The plan of a scope inside a network; the same for scopes of one form."""
    form = form_of(scope)
    found = _known.get(form) if form is not None else None
    if found is None:
        found = Plan(_class_of(scope), Contents.of(scope))
        if form is not None and len(_known) < _MOST:
            _known[form] = found
    return found


def class_of_scope(scope: Scope) -> type[nn.Module]:
    """The class of a scope's module: nn.Sequential or Chain for a plain chain, otherwise a generated class."""
    return plan_of(scope).kind


def _class_of(scope: Scope) -> type[nn.Module]:
    if is_chain(scope):
        return Chain if beside(scope) else nn.Sequential
    return class_of(class_code(scope))


def form_of(scope: Scope) -> Hashable | None:
    """Equal for scopes whose modules differ only in weights and sizes: all that their plan is made from.

    None for a scope with a form of its own: code that passes tensors outward names their paths, and what a scope holds
    for others is not among its nodes.
    """
    contents = (node.content for node in scope.nodes.values())
    if scope.held or scope.training or scope.outward or any(_passes_outward(one) for one in contents):
        return None
    ends = (scope.block, *scope.inputs), tuple(scope.outputs.items()), scope.exposed, scope.named, scope.attention
    return ends, tuple(_form(scope, node) for node in scope.nodes.values())


def _passes_outward(content: object) -> bool:
    return isinstance(content, Scope) and bool(content.exposed) and bool(content.outward)


def _form(scope: Scope, node: Node) -> Hashable:
    content: Any = node.content
    if isinstance(content, Scope):
        content = content.named, tuple(content.outputs), content.exposed
    elif isinstance(content, Operation) and isinstance(content.entry, FunctionEntry):
        tensors = [scope.tensor(reference) for reference in node.inputs]
        content = content.key, *((one, one.grid) for one in tensors)
    elif content is not None:
        content = content.entry
    return node.name, node.inputs, node.calls, node.place is None, HEAD in node.sites, content
