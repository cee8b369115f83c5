"""What may normalise a globally pooled vector; shared by the mechanisms that have a norm there."""

from __future__ import annotations

from typing import Literal

from torch import nn

PooledNorm = Literal["batch", "layer", "none"]
# Behind the layers in between, or behind the last one alone.
NormAt = Literal["hidden", "last"]


def pooled_norm(norm: PooledNorm, channels: int) -> nn.Module:
    """A norm of b c 1 1: `batch` needs two vectors to train on, `layer` works on each alone.

    Raises ValueError for a layer norm of one channel, which would always be the same.
    """
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if channels == 1:
        raise ValueError("norm: layer over 1 hidden channel forgets it; use `norm: none`, or a smaller reduction")
    return nn.GroupNorm(1, channels)
