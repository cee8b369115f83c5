"""Features of a network at several scales."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from composer.compile.classifier import share
from composer.compile.module import ComposedModule, compile_graph
from composer.dag.graph import Graph, compose
from composer.dag.levels import names_of_levels
from composer.errors import Diagnostic, InputError
from composer.spec.load import load, with_outputs

if TYPE_CHECKING:
    from composer.api import Source


def features(
    model: ComposedModule | Source, outputs: Mapping[str, str] | Iterable[str] | None = None
) -> ComposedModule:
    """A network that gives what nodes of another give, without what they do not need.

    model    a composed network, whose parameters and buffers the new one shares; or a source to build
    outputs  names -> paths of nodes, such as {"c3": "layer2"}, or the paths alone; unless given, one for each scale,
             `c3` for what halves the input three times (a network of tokens: one for each block)
    Returns a module with a dict of tensors as output, b c h w or b n c; a single tensor for one output.
    Raises SpecError or GraphError for a path that leads nowhere.

    >>> import torch
    >>> pyramid = features("resnet18")
    >>> {name: tuple(value.shape) for name, value in pyramid(torch.zeros(2, 3, 64, 64)).items()}["c5"]
    (2, 512, 2, 2)
    """
    spec = model.spec if isinstance(model, ComposedModule) else load(model)
    graph = model.graph if isinstance(model, ComposedModule) else compose(spec)
    paths = _paths(graph, outputs)
    part = compose(with_outputs(spec, paths), graph.limits)
    if not isinstance(model, ComposedModule):
        return compile_graph(part)
    result = compile_graph(part, model.seed)
    share(result, model)
    return result.train(model.training)


def _paths(graph: Graph, outputs: Mapping[str, str] | Iterable[str] | None) -> dict[str, str]:
    if outputs is None:
        found = names_of_levels(graph.levels)
        if not found:
            text = f"`{graph.spec.name}` has neither stages nor blocks to take features from"
            raise InputError(Diagnostic("features", text, help=("name the outputs: {'c3': 'layer2'}",)))
        return dict(found)
    if isinstance(outputs, str):
        outputs = [outputs]
    return dict(outputs) if isinstance(outputs, Mapping) else {path.replace(".", "_"): path for path in outputs}
