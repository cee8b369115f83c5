"""A tensor in the graph: its shape, the names of its axes, and the grid of its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from composer.registry import TokenGrid

BATCH = 2  # in training, BatchNorm refuses a batch of 1 on a 1x1 map
_POSITIONS = ("l", "t", "h", "w")


class Factor(NamedTuple):
    """A part of an axis of a recorded tensor: a run of positions along an axis of a map, of channels, or of the batch.

    name   of that axis
    level  0 for the axes of a map, more for those of maps that were made of its windows
    step   how far apart, on that axis, two neighbours are
    """

    name: str
    length: int
    level: int = 0
    step: int = 1


# What each axis is made of, the outermost factor first.
Axes = tuple[tuple[Factor, ...], ...]


@dataclass(frozen=True)
class TensorSpec:
    """A tensor in the graph: its shape at batch 2, and the einops names of its axes if known.

    grid  of tokens (axis `n`): the map that they come from, and the tokens before it; None if not known
    lost  of tokens without a grid: path of the node behind which it is no longer known; empty if it never was
    axes  of a recorded tensor: what its axes are made of, where that was followed

    Equal tensors have equal shapes and layouts: an operation keeps the shape also if it does not keep the grid.
    """

    shape: tuple[int, ...]
    layout: str | None = None
    grid: TokenGrid | None = field(default=None, compare=False)
    lost: str = field(default="", compare=False, repr=False)
    axes: Axes | None = field(default=None, compare=False, repr=False)

    def axis(self, name: str) -> int | None:
        """Length of the axis with this name; None without such an axis."""
        axes = (self.layout or "").split()
        return self.shape[axes.index(name)] if name in axes else None

    @property
    def channels(self) -> int | None:
        """Length of axis `c`; None without it."""
        return self.axis("c")

    @property
    def positions(self) -> TokenGrid | None:
        """The grid of its tokens, or of a map, which is its height and width; None without one or if not known."""
        height, width = self.axis("h"), self.axis("w")
        return self.grid if height is None or width is None else TokenGrid(height, width)

    @property
    def whole_grid(self) -> TokenGrid | None:
        """As `positions`, if they are those of a whole example: not of its windows, and not prefix tokens alone."""
        grid = self.positions
        return grid if grid is not None and grid.is_map and self.windows == 1 and self.axis("p") is None else None

    @property
    def is_followed(self) -> bool:
        """Whether it was followed where each of its tokens stands on a map, be it row by row or in another order."""
        names = (self.layout or "").split()
        tokens = self.axes[names.index("n")] if self.axes and "n" in names else ()
        return bool(tokens) and all(one.name in ("h", "w") for one in tokens)

    @cached_property
    def batch_axis(self) -> int | None:
        """The number of the axis that is the batch: by its name, or else one that was followed and is nothing else.
        None for a tensor without one (a parameter)."""
        if self.layout is not None:
            axes = self.layout.split()
            return axes.index("b") if "b" in axes else None
        followed = enumerate(self.axes or ())
        return next((at for at, parts in followed if parts and all(one.name == "b" for one in parts)), None)

    @property
    def without_batch(self) -> tuple[int, ...]:
        """The shape per example; the whole shape for a tensor without a batch axis (a parameter).

        A batch that holds several windows of each example has their number in front.
        """
        windows = (self.windows,) if self.windows > 1 else ()
        return windows + tuple(length for at, length in enumerate(self.shape) if at != self.batch_axis)

    @property
    def windows(self) -> int:
        """How many entries of the batch each example has: 1, or more where a map was split into windows."""
        return 1 if self.batch_axis is None else self.shape[self.batch_axis] // BATCH

    @cached_property
    def facts(self) -> Mapping[str, int]:
        """Facts that expressions may read: those of TENSOR_FACTS that the tensor has. `spatial_dims` is the number of
        axes of positions."""
        height, width, prefix = self.positions or (None, None, None)
        found = {
            "channels": self.axis("c"),
            "height": self.axis("h"),
            "width": self.axis("w"),
            "tokens": self.axis("n"),
            "length": self.axis("l"),
            "frames": self.axis("t"),
            "spatial_dims": self._spatial_dims,
            "grid_height": height,
            "grid_width": width,
            "prefix_tokens": prefix,
        }
        return {name: length for name, length in found.items() if length is not None}

    @property
    def _spatial_dims(self) -> int | None:
        axes = (self.layout or "").split()
        return None if "c" not in axes or "n" in axes else sum(axis in _POSITIONS for axis in axes)

    def __str__(self) -> str:
        return self.written("b") or "a scalar"

    def written(self, batch: str) -> str:
        """Its lengths, with a word for the batch: `b×3×224×224`, or `64b×49×96` where it holds 64 windows of each
        example."""
        word = f"{self.windows}{batch}" if self.windows > 1 else batch
        return "×".join(word if at == self.batch_axis else str(length) for at, length in enumerate(self.shape))
