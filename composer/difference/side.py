"""A network to compare: its nodes by path, the sources of each, and the cost of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from composer.alike import Alike
from composer.dag.composition import Composition
from composer.dag.macs import total
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec


@dataclass(frozen=True)
class Side:
    """A network as the comparison reads it, without nodes that only pass their input on.

    nodes    path -> node, a scope before its nodes, in running order
    sources  path -> paths of the operations (or network inputs) that feed the node, through scopes and passing nodes
    outputs  network output -> the path that feeds it
    alike    path -> a number, equal for equal nodes of either network
    size     path -> number of operations inside; `macs`: their multiply-accumulates
    """

    graph: Composition
    nodes: Mapping[str, Node]
    sources: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, str]
    alike: Mapping[str, int]
    size: Mapping[str, int]
    macs: Mapping[str, int | None]

    def tensor(self, source: str) -> TensorSpec:
        """The tensor of a source."""
        inputs = self.graph.root.inputs
        return inputs[source] if source in inputs else self.nodes[source].tensor

    def below(self, path: str) -> Iterator[str]:
        """A path, then the paths of all nodes inside, if it is a scope."""
        yield path
        for child in children(self.nodes[path]):
            yield from self.below(child.path)


def partners(before: Iterable[str], after: Iterable[str]) -> Iterator[tuple[str | None, str | None]]:
    """Names of the networks' inputs or outputs, paired by name; a single name on both sides is a pair."""
    ours, theirs = dict.fromkeys(before), dict.fromkeys(after)
    if len(ours) == len(theirs) == 1:
        yield next(iter(ours)), next(iter(theirs))
        return
    for name in ours | theirs:
        yield (name if name in ours else None), (name if name in theirs else None)


def children(node: Node) -> Iterator[Node]:
    """The direct child nodes of a scope that compute something."""
    if isinstance(node.content, Scope):
        yield from (child for child in node.content.parts.values() if child.content is not None)


def read(graph: Composition, alike: Alike) -> Side:
    """The side of a graph. Takes time linear in its nodes per level of scopes."""
    nodes = {node.path: node for node in graph.root.walk() if node.content is not None}
    sources: dict[str, tuple[str, ...]] = {}
    outputs = _trace(graph.root, {name: name for name in graph.root.inputs}, sources)
    size = dict.fromkeys(nodes, 0)
    macs: dict[str, int | None] = dict.fromkeys(nodes, 0)
    for path, cost in graph.macs.items():
        for outer in _prefixes(path):
            size[outer] += 1
            macs[outer] = total([macs[outer], cost])
    return Side(graph, nodes, sources, outputs, alike.numbers(graph.root), size, macs)


def _prefixes(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


def _trace(scope: Scope, names: Mapping[str, str], sources: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Record the sources of a scope's nodes. `names`: its inputs -> sources; the result: its outputs -> sources."""
    known = dict(names)
    sources.update((node.path, ()) for node in scope.held.values())
    for node in scope.nodes.values():
        taken = tuple(known[reference] for reference in node.inputs)
        if node.content is not None:
            sources[node.path] = taken
        if isinstance(node.content, Scope):
            inner = _trace(node.content, dict(zip(node.content.inputs, taken, strict=True)), sources)
            known[node.name] = next(iter(inner.values()))
            known.update({f"{node.name}.{name}": path for name, path in inner.items()})
        else:
            known[node.name] = node.path if isinstance(node.content, Operation) else taken[0]
    return {name: known[reference] for name, reference in scope.outputs.items()}
