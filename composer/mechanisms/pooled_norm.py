"""Norms for a globally pooled vector, for the mechanisms that have such a norm."""

from __future__ import annotations

from typing import Literal

from torch import nn

PooledNorm = Literal["batch", "layer", "none"]
# After each hidden layer, or after the last layer only.
NormAt = Literal["hidden", "last"]


def pooled_norm(norm: PooledNorm, channels: int) -> nn.Module:
    """A norm for b c 1 1: `batch` needs at least two vectors in training, `layer` normalises each vector by itself.

    Raises ValueError for a layer norm of one channel, whose result would be constant.
    """
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if channels == 1:
        raise ValueError("norm: layer over 1 hidden channel forgets it; use `norm: none`, or a smaller reduction")
    return nn.GroupNorm(1, channels)
