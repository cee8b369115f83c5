"""channels_last where the input is, for what folds or flattens a map on its way."""

from __future__ import annotations

from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of a position stand side by side, and those of a channel do not: b c h w."""
    # Not by `memory_format`, which nobody can ask for or about under vmap.
    return x.permute(0, 2, 3, 1).is_contiguous() and not x.is_contiguous()


def in_format_of(x: Tensor, y: Tensor) -> Tensor:
    """y, in channels_last where x is."""
    return y.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) if is_channels_last(x) else y


def with_gradient_in_format(x: Tensor) -> Tensor:
    """x, whose gradient comes back in channels_last where x is, whatever format it is computed in."""
    if not is_channels_last(x):
        return x
    # Two views forward; backward they copy the gradient into rows of b h w c.
    rows = x.permute(0, 2, 3, 1)
    return rows.flatten(1).unflatten(1, rows.shape[1:]).permute(0, 3, 1, 2)
