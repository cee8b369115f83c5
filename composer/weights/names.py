"""Names and shapes of a network's state_dict, read off its graph. Nothing is allocated."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from composer.dag.composition import Composition
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.registry import ModuleEntry, ParameterEntry
from composer.spec.sites import HEAD

Shapes = dict[str, tuple[int, ...]]


def shapes_of(graph: Composition) -> Shapes:
    """Name -> shape of every tensor in the network's state_dict, in its order."""
    return dict(_Reader().scope(graph.root))


def within(name: str, paths: Container[str]) -> bool:
    """Whether a tensor's name is in one of the nodes at these paths."""
    steps = name.split(".")
    return any(".".join(steps[:length]) in paths for length in range(1, len(steps) + 1))


def heads(graph: Composition) -> list[str]:
    """Paths of the operations that are, or are inside, a node with site `head`."""
    paths = []
    for place in graph.places.select(HEAD):
        content = place.node.content
        inside = content.walk() if isinstance(content, Scope) else [place.node]
        paths += [node.path for node in inside if isinstance(node.content, Operation)]
    return list(dict.fromkeys(paths))


@dataclass
class _Reader:
    """Reads shapes; builds each distinct operation once, because networks repeat the same few many times."""

    known: dict[Hashable, Shapes] = field(default_factory=dict)

    def scope(self, scope: Scope) -> Iterator[tuple[str, tuple[int, ...]]]:
        # A state_dict lists a module's own parameters before those of its children.
        own = [node for node in scope.parts.values() if node.owns]
        nodes = sorted(own, key=lambda node: not _is_parameter(node))
        for node in nodes:
            if isinstance(node.content, Scope):
                yield from self.scope(node.content)
            elif _is_parameter(node):
                yield node.path, node.tensor.shape
            elif node.content is not None:
                shared = tuple(f"{child}." for child in node.shares)
                kept = (one for one in self.operation(node.content).items() if not one[0].startswith(shared))
                yield from ((f"{node.path}.{name}", shape) for name, shape in kept)

    def operation(self, operation: Operation) -> Shapes:
        if operation.key not in self.known:
            state: dict[str, Tensor] = {}
            if isinstance(operation.entry, ModuleEntry):
                with torch.device("meta"):
                    state = operation.make().state_dict()
            self.known[operation.key] = {name: tuple(tensor.shape) for name, tensor in state.items()}
        return self.known[operation.key]


def _is_parameter(node: Node) -> bool:
    return isinstance(node.entry, ParameterEntry)
