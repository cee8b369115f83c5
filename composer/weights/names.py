"""Names and shapes of a network's state_dict, read off its graph. Nothing is allocated."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from composer.dag.composition import Composition
from composer.dag.infer import build
from composer.dag.scope import Node, Operation, Scope

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
    for place in graph.places.select("head"):
        content = place.node.content
        inside = content.walk() if isinstance(content, Scope) else [place.node]
        paths += [node.path for node in inside if isinstance(node.content, Operation)]
    return list(dict.fromkeys(paths))


@dataclass
class _Reader:
    """Reads shapes; builds each distinct operation once, because networks repeat the same few many times."""

    known: dict[Any, Shapes] = field(default_factory=dict)

    def scope(self, scope: Scope) -> Iterator[tuple[str, tuple[int, ...]]]:
        # A state_dict lists a module's own parameters before those of its children.
        nodes = sorted(scope.nodes.values(), key=lambda node: not _is_parameter(node))
        for node in nodes:
            if isinstance(node.content, Scope):
                yield from self.scope(node.content)
            elif _is_parameter(node):
                yield node.path, node.tensor.shape
            elif node.content is not None:
                yield from ((f"{node.path}.{name}", shape) for name, shape in self.operation(node.content).items())

    def operation(self, operation: Operation) -> Shapes:
        key = (operation.entry.name, repr(sorted(operation.arguments.items())))
        if key not in self.known:
            self.known[key] = {}
            if operation.entry.form == "module":
                with torch.device("meta"):
                    state = build(operation.entry, operation.arguments).state_dict()
                self.known[key] = {name: tuple(tensor.shape) for name, tensor in state.items()}
        return self.known[key]


def _is_parameter(node: Node) -> bool:
    return isinstance(node.content, Operation) and node.content.entry.form == "parameter"
