"""What a weights file holds, once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and what is known of where they come from.

    name     of the source, as messages write it
    ordered  whether the tensors stand as they were saved
    classes  names of the classes, where the source carries them
    entry    the entry of a wrapped file that they were taken from, `state_dict_ema` for example
    prefix   what each of the file's names began with, and was taken off
    """

    name: str
    tensors: Mapping[str, Tensor]
    ordered: bool = True
    classes: tuple[str, ...] | None = None
    entry: str = ""
    prefix: str = ""
