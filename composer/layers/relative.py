"""A learnt number per offset between two positions of a window, for attention."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from composer.options import PositiveInt, Size
from composer.registry import layer


@layer("relative_position_bias", kind="token")
class RelativePositionBias(nn.Module):
    """What each head adds to the weight of a position for another, by their offset alone.

    Shape:   -> 1 H n n        the `attn_mask` of scaled_dot_product_attention, for the n = i j positions of a window
    Params:  (2i - 1) (2j - 1) H
    Source:  Liu et al., Swin Transformer, ICCV 2021, eq. 4. arXiv:2103.14030

    `window` is [i, j], or i for both; `num_heads` is H. Names of the weights are timm's.

    >>> RelativePositionBias(window=7, num_heads=2)().shape
    torch.Size([1, 2, 49, 49])
    """

    offsets: Tensor

    def __init__(self, *, window: Size, num_heads: PositiveInt):
        super().__init__()
        self.window = (window, window) if isinstance(window, int) else window
        entries = math.prod(2 * side - 1 for side in self.window)
        self.relative_position_bias_table = nn.Parameter(torch.empty(entries, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("offsets", None, persistent=False)
        self._derive(torch.get_default_device())

    def _derive(self, device: torch.device) -> None:
        rows, columns = self.window
        y = torch.arange(rows, device=device).repeat_interleave(columns)
        x = torch.arange(columns, device=device).repeat(rows)
        self.offsets = (y[:, None] - y + rows - 1) * (2 * columns - 1) + x[:, None] - x + columns - 1

    def init_non_persistent_buffers(self) -> None:
        """Compute the buffer, which follows from the window and which no state_dict holds (timm's name)."""
        self._derive(self.relative_position_bias_table.device)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        # A module built on the meta device and then allocated has an uninitialised buffer until now.
        self.init_non_persistent_buffers()

    @property
    def offset_tables(self) -> dict[str, tuple[int, ...]]:
        """Name of each table with a row per offset within a window -> size of the window."""
        return {"relative_position_bias_table": self.window}

    def forward(self) -> Tensor:
        return self.relative_position_bias_table[self.offsets].permute(2, 0, 1).unsqueeze(0)

    def extra_repr(self) -> str:
        return f"window={self.window}, num_heads={self.relative_position_bias_table.shape[1]}"
