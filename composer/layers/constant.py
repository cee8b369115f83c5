"""Nodes that are numbers which no training changes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from composer.options import PositiveInt
from composer.registry import layer


@layer("constant", kind="other")
class Constant(nn.Module):
    """A tensor of this `shape`, filled with the number `value`, or with a list of numbers in order; not learnt.

    Shape:   -> shape        unless given: that of a single number, or of the list

    No state_dict holds it. Raises ValueError for a list that does not fill the shape.

    >>> Constant(value=[1, 2], shape=[2, 1])()
    tensor([[1.],
            [2.]])
    """

    values: Tensor

    def __init__(self, *, value: float | list[float], shape: list[PositiveInt] | None = None):
        super().__init__()
        count = len(value) if isinstance(value, list) else None
        self.value, self.shape = value, shape if shape is not None else [] if count is None else [count]
        if count is not None and count != math.prod(self.shape):
            found = "×".join(map(str, self.shape))
            raise ValueError(f"{count} numbers do not fill a shape of {found}; give {math.prod(self.shape)}")
        self.register_buffer("values", None, persistent=False)
        self._fill(torch.get_default_device(), torch.get_default_dtype())

    def _fill(self, device: torch.device, dtype: torch.dtype) -> None:
        self.values = torch.tensor(self.value, device=device, dtype=dtype).expand(math.prod(self.shape))
        self.values = self.values.reshape(self.shape).clone()

    def init_non_persistent_buffers(self) -> None:
        """Fill the buffer, which no state_dict holds (timm's name)."""
        self._fill(self.values.device, self.values.dtype)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        # A module built on the meta device and then allocated has an uninitialised buffer until now.
        self.init_non_persistent_buffers()

    def forward(self) -> Tensor:
        return self.values

    def extra_repr(self) -> str:
        return f"value={self.value}, shape={self.shape}"
