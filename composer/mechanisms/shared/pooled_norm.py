"""Norms for a globally pooled vector, for the mechanisms that have such a norm."""

from __future__ import annotations

from typing import Literal

from torch import nn

_BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
PooledNorm = Literal["batch", "layer", "none"]
# After each hidden layer, or after the last layer only.
NormAt = Literal["hidden", "last"]


def pooled_norm(norm: PooledNorm, channels: int, spatial_dims: int = 2) -> nn.Module:
    """A norm for b c 1 1, with an axis for each of `spatial_dims`: `batch` needs at least two vectors in training,
    `layer` normalises each vector by itself.

    Raises ValueError for a layer norm of one channel, whose result would be constant.
    """
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        return _BATCH_NORMS[spatial_dims](channels)
    if channels == 1:
        raise ValueError("norm: layer over 1 hidden channel forgets it; use `norm: none`, or a smaller reduction")
    return nn.GroupNorm(1, channels)
