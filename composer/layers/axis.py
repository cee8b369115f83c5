"""Axes of tensors: those that a spec names by number, as PyTorch does, and that of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.registry import TokenGrid


def kept_grid(inputs: Sequence[Any], **options: Any) -> TokenGrid | None:
    """The grid of a layer that reshapes and yet leaves each token where it stands: that of its first input."""
    grid: TokenGrid | None = inputs[0].grid
    return grid


def check_axis(name: str, tensor: Any, dim: int) -> None:
    """Raises ValueError unless `dim` is an axis of the tensor, and not the batch."""
    count = len(tensor.shape)
    first = int((tensor.layout or "").split()[:1] == ["b"])
    if not -count + first <= dim < count or 0 <= dim < first:
        raise ValueError(
            f"`{name}` along axis {dim} of {tensor}; set dim from {first} to {count - 1}, or -1 for the last axis"
        )
