"""Axes that a spec names by number, as PyTorch does."""

from __future__ import annotations

from typing import Any


def check_axis(name: str, tensor: Any, dim: int) -> None:
    """Raises ValueError unless `dim` is an axis of the tensor, and not the batch."""
    count = len(tensor.shape)
    first = int((tensor.layout or "").split()[:1] == ["b"])
    if not -count + first <= dim < count or 0 <= dim < first:
        raise ValueError(
            f"`{name}` along axis {dim} of {tensor}; set dim from {first} to {count - 1}, or -1 for the last axis"
        )
