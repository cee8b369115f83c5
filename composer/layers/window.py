"""Attention within windows of a map, and the merging of its patches: what Swin transformers are built from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from composer.options import NonNegativeInt, PositiveInt
from composer.registry import layer


@layer("window_attention", kind="token", layout="b h w c -> b h w c")
class WindowAttention(nn.Module):
    """Mix each position with those of its window, by content and by where they are to one another.

    Shape:   b h w c -> b h w c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p) + B_i),  p = c / H
             B_i(u, v) = T_i[u - v], a learnt number for each offset of two positions in a window
    Params:  4c² + 4c + (2i - 1) (2j - 1) H        windows of i x j
    Source:  Liu et al., Swin Transformer, ICCV 2021, sec. 3.2. arXiv:2103.14030

    With a `shift` the map is rolled up and left by so many positions first, and back afterwards; of what the edges
    bring together, only neighbours in the map see one another. A map that is no larger than `window` is one window and
    is not shifted. What does not divide into windows is padded with zeros below and at the right. It fits maps of the
    size it was built for. Raises ValueError where channels do not divide into heads, and for another map.

    >>> sum(p.numel() for p in WindowAttention(96, 56, 56, num_heads=3).parameters())
    37755
    """

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
        self.register_buffer("offsets", self._offsets(), persistent=False)
        self.register_buffer("mask", self._mask() if any(self.shift) else None, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        for linear in (self.qkv, self.proj):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def _offsets(self) -> Tensor:
        """The row of the table for each pair of positions in a window, n n."""
        rows, columns = self.window
        y, x = torch.arange(rows).repeat_interleave(columns), torch.arange(columns).repeat(rows)
        down, right = y[:, None] - y + rows - 1, x[:, None] - x + columns - 1
        return down * (2 * columns - 1) + right

    def _mask(self) -> Tensor:
        """0 for the pairs of a shifted window that see one another and -inf for the others, windows n n."""
        vertical, horizontal = (self._regions(axis) for axis in (0, 1))
        regions = self._windows((3 * vertical[:, None] + horizontal)[None, :, :, None])[0, :, :, 0]
        apart = regions[:, :, None] != regions[:, None, :]
        return torch.zeros(apart.shape).masked_fill(apart, float("-inf"))

    def _regions(self, axis: int) -> Tensor:
        """Along an axis of the rolled map: 0 before the last window, 1 in it, and 2 for what came round the edge."""
        length = self.size[axis] + self.padding[axis]
        if not self.shift[axis]:
            return torch.zeros(length)
        position = torch.arange(length)
        return (position >= length - self.window[axis]).float() + (position >= length - self.shift[axis]).float()

    def _windows(self, x: Tensor) -> Tensor:
        """b h w c -> b windows n c"""
        rows, columns = self.window
        return rearrange(x, "b (y i) (x j) c -> b (y x) (i j) c", i=rows, j=columns)

    def _bias(self) -> Tensor:
        """What is added to the logits, 1 (windows heads) n n; the same for every window where nothing is shifted."""
        bias = self.relative_position_bias_table[self.offsets].permute(2, 0, 1)
        if self.mask is None:
            (height, width), (down, right) = self.size, self.padding
            return bias.repeat((height + down) * (width + right) // bias.shape[-1], 1, 1)[None]
        return (bias + self.mask[:, None].to(bias.dtype)).flatten(0, 1)[None]

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        if (height, width) != self.size:
            raise ValueError(
                f"window_attention: built for maps of {self.size[0]}×{self.size[1]}, found {height}×{width}; "
                "build it for that size"
            )
        (down, right), (rows, columns) = self.shift, self.window
        x = F.pad(x.roll((-down, -right), (1, 2)), (0, 0, 0, self.padding[1], 0, self.padding[0]))
        windows = self._windows(self.qkv(x))
        # Every head of every window is a head of one attention, which the fused kernels take.
        q, k, v = rearrange(windows, "b w n (three h p) -> three b (w h) n p", three=3, h=self.num_heads)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias())
        y = rearrange(
            y,
            "b (y x h) (i j) p -> b (y i) (x j) (h p)",
            h=self.num_heads,
            y=(height + self.padding[0]) // rows,
            i=rows,
            j=columns,
        )
        return self.proj(y)[:, :height, :width].roll((down, right), (1, 2))

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, window={self.window}, shift={self.shift}"


@layer("merge_patches", kind="shape", layout="b h w c -> b h w c")
def merge_patches(x: Tensor) -> Tensor:
    """The four positions of each 2 x 2 patch side by side in the channels; an odd map gets a row or column of zeros.

    Shape:   b h w c -> b ceil(h/2) ceil(w/2) 4c        upper left, lower left, upper right, lower right
    Source:  Liu et al., Swin Transformer, ICCV 2021, sec. 3.1. arXiv:2103.14030
    """
    height, width = x.shape[1:3]
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    return rearrange(x, "b (h i) (w j) c -> b h w (j i c)", i=2, j=2)
