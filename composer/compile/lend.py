"""Modules that share: a Shared stands where the module of another is called, and is told which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn

from composer.dag.scope import Node, Scope
from composer.shared import Shared


def lend(model: nn.Module, root: Scope, inside: str = "") -> None:
    """Tell each Shared of a network, or of the part at a path, whom it calls."""
    for node in borrowers(root):
        for child, owner in node.shares.items() if not inside or f"{node.path}.".startswith(f"{inside}.") else ():
            shared = model.get_submodule(f"{node.path}.{child}" if child else node.path)
            assert isinstance(shared, Shared), "a node that shares has such a module"
            path, _, name = owner.rpartition(".")
            shared.call(model.get_submodule(path), name)


def borrowers(scope: Scope) -> Iterator[Node]:
    """The nodes whose own modules call those of others."""
    for node in scope.parts.values():
        if node.calls is None:
            if node.shares:
                yield node
            if isinstance(node.content, Scope) and node.owns:
                yield from borrowers(node.content)


def with_shared(module: nn.Module, children: Iterable[str]) -> nn.Module:
    """A module with a Shared in the place of each of these children."""
    for child in children:
        module.set_submodule(child, Shared())
    return module
