"""Adapts tensors of the same network to images with more or fewer channels, or of another size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from composer.dag.operation import Operation
from composer.load_report import Adapted
from composer.weights.facts import uses_in
from composer.weights.positions import resample_grid, resample_offsets
from composer.weights.uses import BEFORE, INPUT

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule
    from composer.dag.composition import Composition

Size = tuple[int, int]


def adapt(
    tensors: Mapping[str, Tensor], model: ComposedModule, image: Size | None = None
) -> tuple[dict[str, Tensor], tuple[Adapted, ...]]:
    """The tensors, adapted to the images of this network, and a note per tensor that was changed.

    image  height and width that the tensors were made for; None if not known

    The first convolution sums its weights over the channels for grey images. For more channels it repeats them, scaled
    by (channels in the file) / (channels here). Position embeddings of a grid, and biases for offsets within a window,
    are resampled.
    """
    own = model.state_dict()
    where = _Where(model.graph)
    found, said = dict(tensors), []
    for name, tensor in tensors.items():
        if name not in own or not tensor.is_floating_point():
            continue
        # A map of another shape may have the same number of positions.
        changes = (_positions,) if tensor.shape == own[name].shape else (_positions, _offsets, _channels)
        for change in changes:
            if (result := change(name, tensor, own[name], model, where, image)) is not None:
                found[name], one = result
                said.append(one)
                break
    return found, tuple(said)


@dataclass
class _Where:
    """Which tensors see the images themselves, and which hold positions. Both are computed only when needed."""

    graph: Composition

    @cached_property
    def grids(self) -> dict[str, Size]:
        """Path of each parameter that holds the positions of a map -> rows and columns of that map."""
        found = ((node.path, node.content) for node, _ in self.graph.operations)
        options = {path: one.arguments.get("grid") for path, one in found if isinstance(one, Operation)}
        return {path: (int(grid[0]), int(grid[1])) for path, grid in options.items() if grid is not None}

    @cached_property
    def names(self) -> set[str]:
        return {name for name, use in uses_in(self.graph).items() if INPUT in use[BEFORE]}


def _channels(
    name: str, tensor: Tensor, own: Tensor, model: ComposedModule, where: _Where, image: Size | None
) -> tuple[Tensor, Adapted] | None:
    if tensor.ndim != 4 or own.ndim != 4 or name not in where.names:
        return None
    if (tensor.shape[0], *tensor.shape[2:]) != (own.shape[0], *own.shape[2:]):
        return None
    theirs, ours = tensor.shape[1], own.shape[1]
    text = f"images of {theirs} channels in the file, {ours} here: "
    if ours == 1:
        weight = tensor.float().sum(1, keepdim=True)
        return weight.to(tensor.dtype), Adapted(name, "channels", f"{text}summed")
    weight = tensor.float().repeat(1, math.ceil(ours / theirs), 1, 1)[:, :ours] * (theirs / ours)
    text += f"repeated and multiplied by {theirs}/{ours}; mean and std are repeated too"
    return weight.to(tensor.dtype), Adapted(name, "channels", text)


def _positions(
    name: str, tensor: Tensor, own: Tensor, model: ComposedModule, where: _Where, image: Size | None
) -> tuple[Tensor, Adapted] | None:
    path, _, leaf = name.rpartition(".")
    target = where.grids.get(name) or getattr(model.get_submodule(path), "position_grids", {}).get(leaf)
    # b n c, or n c as in an attention pool.
    if target is None or tensor.ndim not in (2, 3) or tensor.ndim != own.ndim:
        return None
    if (tensor.shape[:-2], tensor.shape[-1]) != (own.shape[:-2], own.shape[-1]):
        return None
    source = _grid(tensor.shape[-2] - own.shape[-2] + target[0] * target[1], image)
    if source in (None, target) or (tensor.shape == own.shape and image is None):
        return None
    found = resample_grid(tensor.reshape(1, *tensor.shape[-2:]), source, target).reshape(own.shape)
    return found, Adapted(name, "positions", _resampled("a grid", source, target))


def _offsets(
    name: str, tensor: Tensor, own: Tensor, model: ComposedModule, where: _Where, image: Size | None
) -> tuple[Tensor, Adapted] | None:
    path, _, leaf = name.rpartition(".")
    target = getattr(model.get_submodule(path), "offset_tables", {}).get(leaf)
    if target is None or tensor.ndim != 2 or tensor.shape[1] != own.shape[1]:
        return None
    side = math.isqrt(tensor.shape[0])
    if side * side != tensor.shape[0] or side % 2 == 0:
        return None
    source = ((side + 1) // 2, (side + 1) // 2)
    result = resample_offsets(tensor, source, target)
    return result, Adapted(name, "positions", _resampled("a window", source, target))


def _grid(count: int, image: Size | None) -> Size | None:
    """Rows and columns for `count` positions: the shape of the image, or else a square; None if neither works."""
    if count <= 0:
        return None
    height, width = image or (1, 1)
    for high, wide in ((height, width), (1, 1)):
        rows = math.isqrt(round(count * high / wide))
        if rows and rows * wide == count // rows * high and count % rows == 0:
            return rows, count // rows
    return None


def _resampled(what: str, source: Size, target: Size) -> str:
    (a, b), (c, d) = source, target
    return f"positions of {what} of {a}×{b} in the file, {c}×{d} here: resampled"
