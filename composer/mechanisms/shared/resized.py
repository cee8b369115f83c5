"""Maps of another size, bilinearly, at no cost where they have it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def at_multiple(x: Tensor, multiple: int, align_corners: bool = False) -> Tensor:
    """The map b c h w, its sides stretched to the next multiples; itself where they are multiples."""
    height, width = x.shape[2:]
    return _at(x, (-(-height // multiple) * multiple, -(-width // multiple) * multiple), align_corners)


def at_size_of(x: Tensor, y: Tensor, align_corners: bool = False) -> Tensor:
    """The map y at the height and width of x; itself where it has them."""
    return _at(y, (x.shape[2], x.shape[3]), align_corners)


def _at(x: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    # Exports of any size and traces would keep what this size asks for; the numbers are the same.
    keeps = torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if not keeps and tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


# Not traced: whether a size fits is not known in a symbolic trace.
torch.fx.wrap("at_multiple")
torch.fx.wrap("at_size_of")
