"""Keeps channels_last for code that folds or flattens a map."""

from __future__ import annotations

from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Whether a map b c h w is stored channels_last and not also contiguous; sequences and videos never are."""
    # Not by `memory_format`, which vmap does not support.
    return x.ndim == 4 and x.permute(0, 2, 3, 1).is_contiguous() and not x.is_contiguous()


def in_format_of(x: Tensor, y: Tensor) -> Tensor:
    """y, in channels_last if x is."""
    return y.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) if is_channels_last(x) else y


def with_gradient_in_format(x: Tensor) -> Tensor:
    """x, with a gradient in channels_last if x is, in whatever format the gradient is computed."""
    if not is_channels_last(x):
        return x
    # These are views in the forward pass; in the backward pass they copy the gradient into rows of b h w c.
    rows = x.permute(0, 2, 3, 1)
    return rows.flatten(1).unflatten(1, rows.shape[1:]).permute(0, 3, 1, 2)
