"""Entries of a learnt table by the offset between two positions of a window: biases of attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from composer.options import NonNegativeInt, PositiveInt, Size
from composer.registry import layer


def entries_of(window: tuple[int, int], signed: bool) -> int:
    """How many offsets there are between positions of a window."""
    rows, columns = window
    return (2 * rows - 1) * (2 * columns - 1) if signed else rows * columns


def offsets(window: tuple[int, int], signed: bool, stride: int, device: torch.device | None = None) -> Tensor:
    """The number of the offset of each pair of positions, n m: from every `stride`-th position to all."""
    rows, columns = window
    y, x = (torch.arange(length, device=device) for length in window)
    down = y[::stride, None, None, None] - y[None, None, :, None]
    right = x[None, ::stride, None, None] - x[None, None, None, :]
    found = (
        (down + rows - 1) * (2 * columns - 1) + right + columns - 1 if signed else down.abs() * columns + right.abs()
    )
    return found.flatten(2).flatten(0, 1)


def _pair(window: Any) -> tuple[int, int]:
    return (window, window) if isinstance(window, int) else tuple(window)


def _spread_layout(
    inputs: Sequence[Any], *, window: Any, signed: bool = True, dim: int = 0, stride: int = 1
) -> str | None:
    shape, wanted = tuple(inputs[0].shape), entries_of(_pair(window), signed)
    if dim >= len(shape) or shape[dim] != wanted:
        rows, columns = _pair(window)
        raise ValueError(
            f"`by_offset` takes {wanted} entries for a window of {rows}×{columns} on axis {dim}, found {inputs[0]}; "
            "set window to the sides of the window, and signed to whether left and right differ"
        )
    return None


@layer("by_offset", kind="token", layout=_spread_layout)
class ByOffset(nn.Module):
    """For each pair of positions of a window, the entry of a table that belongs to their offset.

    Shape:   k ... -> n m ...        the axis `dim` becomes two: n = ceil(i / stride) ceil(j / stride), m = i j
             k = (2i - 1) (2j - 1), or i j if offsets to both sides are one (`signed: false`)
    Source:  Liu et al., Swin Transformer, ICCV 2021, eq. 4. arXiv:2103.14030; one for both sides: Graham et al., LeViT,
             ICCV 2021, sec. 4. arXiv:2104.01136

    `window` is [i, j], or i for both. The table is a `parameter`, such as a bias per head that attention adds to its
    logits. With a `stride`, only every such position is the first of a pair.

    >>> ByOffset(window=[1, 2], signed=False)(torch.tensor([0.0, 1.0]))
    tensor([[0., 1.],
            [1., 0.]])
    """

    index: Tensor

    def __init__(self, *, window: Size, signed: bool = True, dim: NonNegativeInt = 0, stride: PositiveInt = 1):
        super().__init__()
        self.window, self.signed, self.dim, self.stride = _pair(window), signed, dim, stride
        self.register_buffer("index", None, persistent=False)
        self._derive(torch.get_default_device())

    def _derive(self, device: torch.device) -> None:
        self.index = offsets(self.window, self.signed, self.stride, device)

    def init_non_persistent_buffers(self) -> None:
        """Compute the buffer, which follows from the window and which no state_dict holds (timm's name)."""
        self._derive(self.index.device)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        # A module built on the meta device and then allocated has an uninitialised buffer until now.
        self.init_non_persistent_buffers()

    def forward(self, x: Tensor) -> Tensor:
        return x[(slice(None),) * self.dim + (self.index,)]

    def extra_repr(self) -> str:
        return f"window={self.window}, signed={self.signed}, dim={self.dim}, stride={self.stride}"
