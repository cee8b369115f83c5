"""What the graph knows of the places where attention was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import networkx as nx

from composer.dag.places import Place
from composer.dag.scope import Operation, TensorSpec

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.graph import Graph

Grid = tuple[int, int]
# Asked for only where a grid is not plain to see: it counts what every operation costs.
Flat = Callable[[], "nx.DiGraph[str]"]


@dataclass(frozen=True)
class Site:
    """One mechanism of a network.

    kind     as the registry has it: channel, spatial, channel+spatial, branch, kernel or token
    rule     number of the attention rule that put it there, counted from 1; None for the backbone's own
    options  those that differ from the mechanism's defaults
    grid     rows and columns of the map that it works on; None where its tokens are no positions of a map
    gamma    how far it is blended in, of `start: identity`; None where it is not
    """

    path: str
    mechanism: str
    kind: str
    stage: int | None
    block: int | None
    rule: int | None
    options: Mapping[str, Any]
    grid: Grid | None
    gamma: float | None


def sites_of(model: ComposedModule) -> dict[str, Site]:
    """Every mechanism of a network by path, in the order they run."""
    parameters = dict(model.named_parameters())
    flat = cache(model.graph.networkx)
    found = {}
    for place in model.graph.places:
        operation = place.node.content
        if isinstance(operation, Operation) and operation.entry.category == "mechanism":
            gamma = parameters.get(f"{place.node.path}_gamma")
            found[place.node.path] = _site(place, operation, flat, None if gamma is None else float(gamma.detach()))
    return found


def _site(place: Place, operation: Operation, flat: Flat, gamma: float | None) -> Site:
    node = place.node
    return Site(
        node.path,
        operation.entry.name,
        operation.entry.kind,
        place.stage,
        place.block,
        None if node.rule is None else node.rule + 1,
        operation.options,
        _grid(place, flat),
        gamma,
    )


def last_map(graph: Graph) -> str | None:
    """Path of the node whose features are the last: the coarsest level, or else the last feature map; None without."""
    maps = [
        place.node.path
        for place in graph.places
        if isinstance(place.node.output, TensorSpec) and place.node.output.layout == "b c h w"
    ]
    levels = [level.path for level in graph.levels]
    return next(reversed(levels or maps), None)


def _grid(place: Place, flat: Flat) -> Grid | None:
    """The map a mechanism works on: what arrives, or the map that its tokens were made of."""
    arriving = place.input
    if arriving is not None and arriving.axis("h") and arriving.axis("w"):
        return arriving.axis("h") or 0, arriving.axis("w") or 0
    graph = flat()
    for _, before in nx.bfs_edges(graph, place.node.path, reverse=True):
        attributes = graph.nodes[before]
        if attributes["op"] == "map_to_tokens" and attributes["options"].get("axis") == "channels":
            return None
        axes = (attributes["layout"] or "").split()
        if {"h", "w"} <= set(axes):
            lengths = dict(zip([axis for axis in axes if axis != "b"], attributes["shape"], strict=True))
            return lengths["h"], lengths["w"]
    return None
