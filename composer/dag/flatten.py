"""A composed network as a flat networkx.DiGraph, and as plain JSON values."""

from __future__ import annotations

from typing import Any

import networkx as nx

from composer.dag.composition import Composition
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope, num_parameters
from composer.dag.tensor import TensorSpec


def flat_graph(composition: Composition) -> nx.DiGraph[str]:
    """The flat graph of inputs and operations; see `composer.Graph.networkx`."""
    flat: nx.DiGraph[str] = nx.DiGraph(name=composition.spec.name)
    for name, tensor in composition.root.inputs.items():
        flat.add_node(name, **_attributes("input", tensor))
    flat.graph["outputs"] = _flatten(composition.root, {name: name for name in composition.root.inputs}, flat)
    for path, macs in composition.macs.items():
        flat.nodes[path]["macs"] = macs
    return flat


def flat_json(composition: Composition) -> dict[str, Any]:
    """The flat graph as plain JSON values."""
    flat = flat_graph(composition)
    return {
        "name": composition.spec.name,
        "parameters": composition.num_parameters,
        "macs": composition.num_macs,
        "outputs": flat.graph["outputs"],
        "nodes": [{"id": name, **data} for name, data in flat.nodes(data=True)],
        "edges": [{"from": a, "to": b, **data} for a, b, data in flat.edges(data=True)],
    }


def _flatten(scope: Scope, names: dict[str, str], flat: nx.DiGraph[str]) -> dict[str, str]:
    """Add a scope's operations to `flat`. Takes the flat nodes of its inputs, returns those of its outputs."""
    names = dict(names)
    for node in scope.nodes.values():
        sources = [names[reference] for reference in node.inputs]
        if node.content is None:
            names[node.name] = sources[0]
        elif isinstance(node.content, Scope):
            inner = _flatten(node.content, dict(zip(node.content.inputs, sources, strict=True)), flat)
            names[node.name] = next(iter(inner.values()))
            names.update({f"{node.name}.{key}": value for key, value in inner.items()})
        else:
            names[node.name] = node.path
            flat.add_node(node.path, **_attributes(node.op, node.tensor, node))
            for index, source in enumerate(sources):
                feeds = flat.edges[source, node.path]["index"] if flat.has_edge(source, node.path) else []
                flat.add_edge(source, node.path, index=[*feeds, index])
    for node in scope.held.values():
        for one in node.content.walk() if isinstance(node.content, Scope) else [node]:
            if isinstance(one.content, Operation):
                flat.add_node(one.path, **_attributes(one.op, one.tensor, one))
    return {key: names[reference] for key, reference in scope.outputs.items()}


def _attributes(op: str, tensor: TensorSpec, node: Node | None = None) -> dict[str, Any]:
    content = node.content if node else None
    location = node.origin.location() if node else None
    return {
        "op": op,
        "options": content.options if isinstance(content, Operation) else {},
        "shape": tensor.without_batch,
        "layout": tensor.layout,
        "grid": tensor.grid and tensor.grid[:2],
        "prefix_tokens": tensor.grid and tensor.grid.prefix,
        "parameters": num_parameters(node) if node else 0,
        "macs": 0,
        "rule": node.rule if node else None,
        "sites": list(node.sites) if node else [],
        "shares": dict(node.shares) if node else {},
        "line": str(location) if location else None,
    }
