"""Checks the size of maps for mechanisms with a weight per position."""

from __future__ import annotations

from torch import Tensor


def of_built_size(x: Tensor, size: tuple[int, int], name: str, otherwise: str = "") -> Tensor:
    """The map b c h w, unchanged. Raises ValueError, with `otherwise` as further advice, if it has another size."""
    height, width = x.shape[2:]
    if (height, width) != size:
        wanted = f"{size[0]}×{size[1]}"
        raise ValueError(
            f"{name} built for maps of {wanted}, found {height}×{width}; build it for that size{otherwise}"
        )
    return x
