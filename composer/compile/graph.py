"""From a graph to its module."""

from __future__ import annotations

from collections.abc import Iterator

from composer.compile.emit import emit
from composer.compile.freezing import freeze_where
from composer.compile.hosted_module import as_network
from composer.compile.module import ComposedModule
from composer.compile.origin import Composed
from composer.dag.composition import Composition
from composer.dag.frozen import frozen_in_spec
from composer.dag.host import HostScope
from composer.dag.scope import Scope
from composer.kernels import Kernels, set_kernels
from composer.spec.spec import Spec


def compile_graph(graph: Composition, seed: int = 0) -> ComposedModule:
    """The module of a graph, on the CPU. Its weights depend on the seed and each node's path."""
    model = emit(graph.root, seed)
    if isinstance(graph.root, HostScope):
        model = as_network(model)
    assert isinstance(model, ComposedModule)
    for path, kernels in _said_kernels(graph.root, graph.spec):
        set_kernels(model.get_submodule(path), kernels)
    model.composed = Composed(graph, seed)
    for is_frozen in frozen_in_spec(graph):
        freeze_where(model, is_frozen)
    return model


def _said_kernels(scope: Scope, spec: Spec | None) -> Iterator[tuple[str, Kernels]]:
    """Path of a network -> what its file says of kernels; what the file around says holds for the networks inside."""
    if spec is not None and spec.said_kernels is not None:
        yield scope.path, spec.said_kernels
    elif spec is None or spec.parts:
        for node in scope.parts.values():
            if isinstance(node.content, Scope) and node.owns:
                yield from _said_kernels(node.content, node.content.network)
