"""Nodes of a network to look at: their values as maps b c h w."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, InputError, did_you_mean

if TYPE_CHECKING:
    from composer.dag.composition import Composition

# Rows and columns.
Grid = tuple[int, int]


@dataclass(frozen=True)
class MapNode:
    """A node whose output is a map, or `prefix` tokens followed by the positions of a map.

    path  the node that gives the value: the last that rules put after the requested node
    grid  rows and columns at the spec's own input size
    """

    path: str
    layout: str
    grid: Grid
    prefix: int = 0

    def as_map(self, value: Tensor) -> Tensor:
        """The node's value, or a gradient of it, as b c h w."""
        if self.layout == "b h w c":
            return value.permute(0, 3, 1, 2)
        if self.layout == "b n c":
            return value[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)
        return value

    def at_size(self, own: Grid, size: Grid) -> MapNode:
        """The node for a network input of `size` in place of `own`."""
        if self.layout != "b n c":
            return self
        return replace(self, grid=(self.grid[0] * size[0] // own[0], self.grid[1] * size[1] // own[1]))


def map_node(graph: Composition, path: str) -> MapNode:
    """The node at a path, with nodes that rules put after it. Raises InputError."""
    nodes = {node.path: node for node in graph.root.walk()}
    if path not in nodes:
        text = f"`{graph.spec.name}` has no node `{path}`"
        help = did_you_mean(path, nodes, "`composer sites SPEC '**'` lists all")
        raise InputError(Diagnostic("node", text, help=help))
    node = nodes[path]
    if node.tail is not None:
        parent, dot, _ = path.rpartition(".")
        node = nodes[f"{parent}{dot}{node.tail}"]
    tensor = node.output
    if not isinstance(tensor, TensorSpec):
        text, label = f"`{path}` has several outputs", "a node with one"
        raise InputError(Diagnostic("node", text, label=label))
    if tensor.layout in ("b c h w", "b h w c"):
        return MapNode(node.path, tensor.layout, (tensor.axis("h") or 0, tensor.axis("w") or 0))
    if tensor.layout != "b n c" or tensor.whole_grid is None:
        text, label = f"`{path}` gives {tensor}, which is no map", "a node that gives a feature map, or tokens of one"
        raise InputError(Diagnostic("node", text, label=label))
    height, width, prefix = tensor.whole_grid
    return MapNode(node.path, tensor.layout, (height, width), prefix)
