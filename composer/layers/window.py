"""Attention within windows of a map, and merging of patches: the layers of Swin transformers."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.attention import attended_in_full
from composer.options import NonNegativeInt, PositiveInt
from composer.registry import layer


@layer("window_attention", kind="token", layout="b h w c -> b h w c")
class WindowAttention(nn.Module):
    """Mix each position with the positions of its window, by content and by relative position.

    Shape:   b h w c -> b h w c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p) + B_i),  p = c / H
             B_i(u, v) = T_i[u - v], a learnt number per offset between two positions in a window
    Params:  4c² + 4c + (2i - 1) (2j - 1) H        windows of i x j
    Source:  Liu et al., Swin Transformer, ICCV 2021, sec. 3.2. arXiv:2103.14030

    With a `shift` the map is first rolled up and left by so many positions, and rolled back at the end; positions from
    opposite edges of the map do not see each other. A map no larger than `window` is a single window and is not
    shifted. Other sizes that do not divide into windows are padded with zeros below and at the right. It fits maps of
    the size it was built for. `num_heads` is H. Raises ValueError if channels do not divide into heads, and for a map
    of another size.

    >>> sum(p.numel() for p in WindowAttention(96, 56, 56, num_heads=3).parameters())
    37755
    """

    name = "window_attention"
    offsets: Tensor
    mask: Tensor | None

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        num_heads: PositiveInt,
        window: PositiveInt = 7,
        shift: NonNegativeInt = 0,
    ):
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"{channels} channels do not divide into {num_heads} heads; set num_heads to a divisor")
        if shift >= window:
            raise ValueError(f"a shift of {shift} is no less than the window of {window}; set shift to {window // 2}")
        self.num_heads, self.size = num_heads, (height, width)
        self.window = tuple(min(window, length) for length in self.size)
        self.shift = tuple(shift if length > window else 0 for length in self.size)
        self.padding = tuple(-length % side for length, side in zip(self.size, self.window, strict=True))
        rows, columns = self.window
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * rows - 1) * (2 * columns - 1), num_heads))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.register_buffer("offsets", None, persistent=False)
        self.register_buffer("mask", None, persistent=False)
        self._derive(torch.get_default_device())
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        for linear in (self.qkv, self.proj):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def init_non_persistent_buffers(self) -> None:
        """Compute the buffers that follow from the sizes alone; no state_dict holds them (timm's name)."""
        self._derive(self._own.device)

    def _derive(self, device: torch.device) -> None:
        self.offsets = self._offsets(device)
        dtype = self._own.dtype
        self.mask = self._mask(device).to(dtype) if self.is_masked else None

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        # A module built on the meta device and then allocated has uninitialised buffers until now.
        self.init_non_persistent_buffers()

    @property
    def _own(self) -> Tensor:
        """A weight of the module itself, on whose device its buffers are: its children get theirs later."""
        return self.relative_position_bias_table

    @property
    def num_windows(self) -> int:
        """How many windows cover the padded map."""
        (height, width), (down, right) = self.size, self.padding
        return (height + down) * (width + right) // math.prod(self.window)

    @property
    def is_masked(self) -> bool:
        """Whether some positions of a window do not see each other."""
        return any(self.shift)

    @property
    def offset_tables(self) -> dict[str, tuple[int, ...]]:
        """Name of each table with a row per offset within a window -> size of the window."""
        return {"relative_position_bias_table": self.window}

    def _offsets(self, device: torch.device) -> Tensor:
        """The row of the table for each pair of positions in a window, n n."""
        rows, columns = self.window
        y = torch.arange(rows, device=device).repeat_interleave(columns)
        x = torch.arange(columns, device=device).repeat(rows)
        down, right = y[:, None] - y + rows - 1, x[:, None] - x + columns - 1
        return down * (2 * columns - 1) + right

    def _mask(self, device: torch.device) -> Tensor:
        """0 for pairs of positions in a shifted window that see each other, -inf for other pairs; windows n n."""
        vertical, horizontal = (self._regions(axis, device) for axis in (0, 1))
        regions = self._windows((3 * vertical[:, None] + horizontal)[None, :, :, None])[0, :, :, 0]
        apart = regions[:, :, None] != regions[:, None, :]
        return torch.zeros(apart.shape, device=device).masked_fill(apart, float("-inf"))

    def _regions(self, axis: int, device: torch.device) -> Tensor:
        """Number per position on an axis of the rolled map: 0 before the last window, 1 in it, 2 if rolled around."""
        length = self.size[axis] + self.padding[axis]
        if not self.shift[axis]:
            return torch.zeros(length, device=device)
        position = torch.arange(length, device=device)
        return (position >= length - self.window[axis]).float() + (position >= length - self.shift[axis]).float()

    def _windows(self, x: Tensor) -> Tensor:
        """b h w c -> b windows n c"""
        rows, columns = self.window
        grid = x.unflatten(2, (-1, columns)).unflatten(1, (-1, rows))
        return grid.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def _map(self, windows: Tensor, heads: int) -> Tensor:
        """b (windows heads) n p -> b h w (heads p), still rolled and padded"""
        (height, width), (down, right), (rows, columns) = self.size, self.padding, self.window
        grid = ((height + down) // rows, (width + right) // columns)
        y = windows.unflatten(1, (*grid, heads)).unflatten(4, self.window).permute(0, 1, 4, 2, 5, 3, 6)
        # A copy also if a view would do: exporters decompose attention, and its result then has other strides.
        y = y.clone(memory_format=torch.contiguous_format)
        return y.flatten(5).flatten(3, 4).flatten(1, 2)

    def _table(self) -> Tensor:
        """A row per offset within a window, with a number per head."""
        return self.relative_position_bias_table

    def _bias(self) -> Tensor:
        """The numbers to add to the logits, 1 (windows heads) n n; the same for every window without a shift."""
        bias = self._table()[self.offsets].permute(2, 0, 1)
        if self.mask is None:
            return bias.repeat(self.num_windows, 1, 1)[None]
        # Cast first, so that a trace reads the buffer and keeps no copy of a part of it.
        return (bias + self.mask.to(bias.dtype)[:, None]).flatten(0, 1)[None]

    def _padded(self, x: Tensor, value: float) -> Tensor:
        down, right = self.padding
        return F.pad(x, (0, 0, 0, right, 0, down), value=value)

    def _rolled(self, x: Tensor, padding: float = 0) -> Tensor:
        down, right = self.shift
        return self._padded(x.roll((-down, -right), (1, 2)), padding)

    def _rolled_back(self, x: Tensor) -> Tensor:
        height, width = self.size
        return x[:, :height, :width].roll(self.shift, (1, 2))

    def _projected(self, x: Tensor) -> Tensor:
        """Queries, keys and values, b h w 3c"""
        return self.qkv(x)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        # Each head of each window becomes a head of a single attention, as fused kernels need it.
        x = self._rolled(of_built_size(x, self.size, self.name))
        rows, columns = self.window
        grid = (
            self._projected(x)
            .unflatten(2, (-1, columns))
            .unflatten(1, (-1, rows))
            .unflatten(5, (3, self.num_heads, -1))
        )
        # Flattened at once, so that there is one copy.
        return grid.permute(5, 0, 1, 3, 6, 2, 4, 7).flatten(5, 6).flatten(2, 4).unbind(0)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of each position's window, b heads h w n, at least float32; the last axis sums to 1.

        `attended` gives the position of each of the n weights. A forward never stores the weights.
        """
        q, k, _ = self._heads(x)
        precision = torch.promote_types(q.dtype, torch.float32)
        logits = q.to(precision) @ k.to(precision).transpose(2, 3) / math.sqrt(q.shape[3])
        weights = (logits + self._bias().to(precision)).softmax(-1)
        return self._rolled_back(self._map(weights, self.num_heads)).unflatten(3, (self.num_heads, -1)).movedim(3, 1)

    @property
    def attended(self) -> Tensor:
        """Row and column of the n positions in each position's window, h w n 2; nan for padding."""
        rows, columns = (torch.arange(length, dtype=torch.float32) for length in self.size)
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)[None]
        windows = self._windows(self._rolled(places, float("nan"))).flatten(2)
        each = windows[:, :, None].expand(-1, -1, math.prod(self.window), -1)
        return self._rolled_back(self._map(each, 1))[0].unflatten(2, (-1, 2))

    # No class overrides it, and no position of a window sees none.
    @fused(attended_in_full, inherited=True, in_inference=True)
    def _attended(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        y = self._attended(q, k, v, self._bias())
        return self._rolled_back(self.proj(self._map(y, self.num_heads)))

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, window={self.window}, shift={self.shift}"


def of_built_size(x: Tensor, size: tuple[int, int], name: str) -> Tensor:
    """The map b h w c, unchanged. Raises ValueError if it has another size."""
    height, width = x.shape[1:3]
    if (height, width) != size:
        wanted = f"{size[0]}×{size[1]}"
        raise ValueError(f"{name}: built for maps of {wanted}, found {height}×{width}; build it for that size")
    return x


torch.fx.wrap("of_built_size")


@layer("merge_patches", kind="shape", layout="b h w c -> b h w c")
def merge_patches(x: Tensor) -> Tensor:
    """Concatenate the channels of each 2 x 2 patch; a map of odd size gets a row or column of zeros.

    Shape:   b h w c -> b ceil(h/2) ceil(w/2) 4c        upper left, lower left, upper right, lower right
    Source:  Liu et al., Swin Transformer, ICCV 2021, sec. 3.1. arXiv:2103.14030
    """
    height, width = x.shape[1:3]
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    return torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
