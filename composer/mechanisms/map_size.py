"""Maps that a mechanism was built for, since it holds a number for each position."""

from __future__ import annotations

from torch import Tensor


def of_built_size(x: Tensor, size: tuple[int, int], name: str, otherwise: str = "") -> Tensor:
    """A map b c h w as it is. Raises ValueError, with what else would do, where it has another size."""
    height, width = x.shape[2:]
    if (height, width) != size:
        wanted = f"{size[0]}×{size[1]}"
        raise ValueError(
            f"{name} built for maps of {wanted}, found {height}×{width}; build it for that size{otherwise}"
        )
    return x
