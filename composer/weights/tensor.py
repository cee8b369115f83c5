"""What makes a tensor of a file unfit to be copied or computed with."""

from __future__ import annotations

import torch
from torch import Tensor


def irregular(tensor: Tensor) -> str:
    """What a tensor holds instead of plain numbers; empty if it holds plain numbers."""
    if tensor.is_nested:
        return "nested tensors"
    if tensor.is_meta:
        return "no values"
    if tensor.is_quantized:
        return "quantized values"
    return "" if tensor.layout == torch.strided else f"{str(tensor.layout).removeprefix('torch.')} values"


def is_whole(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor are in its memory. A file may claim a huge shape that repeats a few numbers."""
    if irregular(tensor):
        return True
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
