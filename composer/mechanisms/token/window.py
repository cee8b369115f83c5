"""Window: self-attention within windows of a map, shifted or not. Liu et al., Swin Transformer, ICCV 2021."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from composer.layers.window import WindowAttention
from composer.mechanisms.shared.divisors import dim_of_heads, heads_of
from composer.mechanisms.shared.memory_format import in_format_of
from composer.options import NonNegativeInt, PositiveInt
from composer.registry import mechanism

torch.fx.wrap("in_format_of")

# Channels of a head in every Swin.
HEAD_DIM = 32


def _plain(module: ShiftedWindowAttention, x: Tensor) -> Tensor:
    """The same output by a matrix of all positions, in which those of other windows get weight 0."""
    (height, width), heads = module.size, module.num_heads
    qkv = module.qkv(x.flatten(2).transpose(1, 2)).unflatten(2, (3, heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    row = torch.arange(height).repeat_interleave(width)
    column = torch.arange(width).repeat(height)
    apart = torch.zeros(len(row), len(row), dtype=torch.bool)
    for place, side, shift in zip((row, column), module.window, module.shift, strict=True):
        window = (place - shift).div(side, rounding_mode="floor")
        apart |= window[:, None] != window
    rows, columns = module.window
    down = (row[:, None] - row).clamp(1 - rows, rows - 1) + rows - 1
    right = (column[:, None] - column).clamp(1 - columns, columns - 1) + columns - 1
    bias = module.relative_position_bias_table[down * (2 * columns - 1) + right].permute(2, 0, 1)
    logits = q @ k.transpose(2, 3) * q.shape[3] ** -0.5 + bias
    y = logits.masked_fill(apart, float("-inf")).softmax(-1) @ v
    return module.proj(y.transpose(1, 2).flatten(2)).transpose(1, 2).unflatten(2, module.size)


@mechanism(
    "window",
    kind="token",
    layout="b c h w",
    reference=_plain,
    aliases=(
        *("swin", "w-msa", "sw-msa", "window attention", "shifted window attention", "window self-attention"),
        *("local window attention", "窗口注意力", "滑动窗口注意力"),
    ),
)
class ShiftedWindowAttention(WindowAttention):
    """Replace each position by a mixture of the positions of its window, weighted by content and relative position.

    Shape:   b c h w -> b c h w
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p) + B_i),  p = c / H
             B_i(u, v) = T_i[u - v] within a window of k × k positions, -inf between windows
             windows begin at every k-th row and column, from row and column s
    Params:  4c² + 4c + (2i - 1) (2j - 1) H        windows of i × j: k × k, or as high or wide as a smaller map
    MACs:    4c² h' w' + 2c i j h' w'        h', w': the map padded to whole windows
    Source:  Liu et al., Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, ICCV 2021, sec. 3.2.
             arXiv:2103.14030
    Departs: nothing where windows divide the map. Elsewhere the map is padded below and at the right, and padding gets
             weight 0 (the paper, sec. 3.2); the authors' code, torchvision and timm let positions see it.
    Start:   the authors' code: N(0, 0.02²) for maps and table, cut off at -2 and 2, and zero biases.

    `window` is k, `num_heads` is H, by default so that a head has 32 channels, or more where 32 does not divide them.
    `shift` is s: with `auto`, the places of a rule take turns between 0 and k // 2, as the blocks of a Swin do. It is 0
    along an axis that a single window covers. The bias fits maps of the built size; it raises ValueError for others.

    >>> sum(p.numel() for p in ShiftedWindowAttention(64, 56, 56).parameters())
    16978
    """

    name = "window"

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        place_index: int = 0,
        *,
        window: PositiveInt = 7,
        num_heads: PositiveInt | None = None,
        shift: NonNegativeInt | Literal["auto"] = "auto",
    ):
        num_heads = heads_of(channels, HEAD_DIM) if num_heads is None else num_heads
        dim_of_heads("window", channels, num_heads)
        if shift == "auto":
            shift = place_index % 2 * (window // 2)
        super().__init__(channels, height, width, num_heads=num_heads, window=window, shift=shift)

    @property
    def is_masked(self) -> bool:
        """Whether some positions of a rolled and padded window do not see each other."""
        return any(self.shift) or any(self.padding)

    def _regions(self, axis: int, device: torch.device) -> Tensor:
        """Number per position on an axis of the rolled map: 1 if rolled around, 2 for padding, 0 for others.

        Padding is a region of its own, so that its rows of weights, which nobody reads, are numbers as well.
        """
        length, shift = self.size[axis], self.shift[axis]
        padded = torch.zeros(length + self.padding[axis], device=device)
        padded[:shift], padded[length:] = 1, 2
        return padded.roll(-shift)

    def _rolled(self, x: Tensor, padding: float = 0) -> Tensor:
        down, right = self.shift
        return self._padded(x, padding).roll((-down, -right), (1, 2))

    def _rolled_back(self, x: Tensor) -> Tensor:
        height, width = self.size
        return x.roll(self.shift, (1, 2))[:, :height, :width]

    def attention(self, x: Tensor) -> Tensor:
        """The weights of each position's window, b heads h w n, at least float32; the last axis sums to 1.

        `attended` gives the position of each of the n weights. A forward never stores the weights.
        """
        return super().attention(x.permute(0, 2, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return in_format_of(x, super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
