"""Tokens as the positions of a map: which grid they come from, and outputs laid out on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from composer import registry
from composer.dag.follow import follow
from composer.dag.infer import Inference
from composer.dag.scope import Node, Operation, Scope, TensorSpec
from composer.spec.origin import Origin

Grid = tuple[int, int]


def outputs_as_maps(root: Scope, origin: Origin, inference: Inference) -> Scope:
    """The network whose outputs are maps b c h w: a node behind each that is b h w c, or tokens of positions.

    What is no map at all, such as logits, stays as it is.
    """
    grids = _grids_of_outputs(root)
    nodes, outputs = dict(root.nodes), dict(root.outputs)
    for output, reference in root.outputs.items():
        tensor = root.tensor(reference)
        found = _layer(tensor, grids[output])
        if found is None:
            continue
        name, arguments = found
        entry = registry.get(name)
        assert entry is not None
        inferred = inference(entry, arguments, [tensor])
        path = reference.replace(".", "_") + "_map"
        while path in nodes:
            path += "_"
        nodes[path] = Node(path, path, origin / output, (reference,), inferred.operation, inferred.output)
        outputs[output] = path
    return replace(root, nodes=nodes, outputs=outputs)


def _layer(tensor: TensorSpec, grid: Grid | None) -> tuple[str, dict[str, object]] | None:
    """The layer, and its options, that makes a map b c h w of a tensor; None where it is one, or cannot be."""
    if tensor.layout == "b h w c":
        return "channels_first", {}
    count = tensor.axis("n")
    if tensor.layout != "b n c" or grid is None or count is None or grid[0] * grid[1] > count:
        return None
    return "patches_to_map", {"grid": grid, "skip": count - grid[0] * grid[1]}


def token_grids(root: Scope) -> Mapping[str, Grid]:
    """Rows and columns of the map that each node's positions come from, by path; not of those that have none."""
    return _grids(root)[0]


def _grids_of_outputs(root: Scope) -> Mapping[str, Grid | None]:
    return _grids(root)[1]


def _grids(root: Scope) -> tuple[dict[str, Grid], dict[str, Grid | None]]:
    """The grids of nodes by path, and those of the outputs by name."""
    found: dict[str, Grid] = {}

    def note(node: Node, grid: Grid | None) -> Grid | None:
        if grid is not None:
            found[node.path] = grid
        return grid

    inputs = {name: _map_of(tensor) for name, tensor in root.inputs.items()}
    return found, follow(root, inputs, _grid, note)


def _grid(node: Node, arriving: list[Grid | None]) -> Grid | None:
    operation, tensor = node.content, node.tensor
    assert isinstance(operation, Operation)
    if operation.options.get("axis") == "channels" or tensor.axis("n") is None:
        # Tokens of channels are no positions, and vectors have forgotten theirs.
        return _map_of(tensor)
    return next((grid for grid in arriving if grid is not None), None)


def _map_of(tensor: TensorSpec) -> Grid | None:
    height, width = tensor.axis("h"), tensor.axis("w")
    return None if height is None or width is None else (height, width)
