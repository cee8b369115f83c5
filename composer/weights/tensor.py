"""What makes a tensor of a file unfit to be copied or computed with."""

from __future__ import annotations

import torch
from torch import Tensor


def irregular(tensor: Tensor) -> str:
    """What a tensor holds instead of plain numbers; empty for one that holds these."""
    if tensor.is_nested:
        return "nested tensors"
    if tensor.is_meta:
        return "no values"
    if tensor.is_quantized:
        return "quantized values"
    return "" if tensor.layout == torch.strided else f"{str(tensor.layout).removeprefix('torch.')} values"


def is_whole(tensor: Tensor) -> bool:
    """Whether a tensor's numbers are all in its memory: a file may claim a shape of any size that repeats a few."""
    if irregular(tensor):
        return True
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
