"""From a graph to its module."""

from __future__ import annotations

from composer.compile.emit import emit
from composer.compile.hosted_module import as_network
from composer.compile.module import ComposedModule
from composer.compile.origin import Composed
from composer.dag.composition import Composition
from composer.dag.host import HostScope
from composer.kernels import set_kernels


def compile_graph(graph: Composition, seed: int = 0) -> ComposedModule:
    """The module of a graph, on the CPU. Its weights depend on the seed and each node's path."""
    model = emit(graph.root, seed)
    if isinstance(graph.root, HostScope):
        model = as_network(model)
    assert isinstance(model, ComposedModule)
    if graph.spec.kernels != "fused":
        set_kernels(model, graph.spec.kernels)
    model.composed = Composed(graph, seed)
    return model
