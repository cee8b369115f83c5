"""Outlook attention. Yuan et al., VOLO, TPAMI 2022."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.divisors import dim_of_heads, heads_of
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import OddInt, PositiveInt
from composer.registry import mechanism


@mechanism(
    "outlook",
    kind="token",
    layout="b c h w",
    aliases=("volo", "outlooker", "outlook attention", "outlookattention", "展望注意力"),
)
class OutlookAttention(nn.Module):
    """Let each position say, from its own values alone, how the positions around it mix; add up what all of them say.

    Shape:   b c h w -> b c h w
    Math:    y = W_o fold([A_1 V_1; ...; A_H V_H])        A_i = softmax_keys(W_a x / sqrt(p)), k² × k² at each position
             V_i is unfolded, k² × p around each position;  p = c / H
    Params:  2c² + c + (c + 1) e H        e = k⁴
    MACs:    2c² h w + c e (H + 1) h' w'        h', w': every s-th row and column
    Source:  Yuan et al., VOLO: Vision Outlooker for Visual Recognition, TPAMI 2022. arXiv:2106.13112
    Departs: nothing.
    Start:   timm's: N(0, 0.02²), cut off at -2 and 2, and zero biases.

    `kernel_size` is k. At a `stride` of s, as in VOLO, s × s positions speak together, by their mean. `num_heads` is H,
    by default so that a head has 32 channels, or more where 32 does not divide them. It takes maps of any size; beyond
    the map values are 0, and what is said of positions there is lost.

    >>> sum(p.numel() for p in OutlookAttention(64).parameters())
    18786
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: OddInt = 3,
        stride: PositiveInt = 1,
        num_heads: PositiveInt | None = None,
    ):
        super().__init__()
        self.num_heads = heads_of(channels, 32) if num_heads is None else num_heads
        self.scale = dim_of_heads("outlook", channels, self.num_heads) ** -0.5
        self.kernel_size, self.stride = kernel_size, stride
        self.v = nn.Linear(channels, channels, bias=False)
        self.attn = nn.Linear(channels, kernel_size**4 * self.num_heads)
        self.proj = nn.Linear(channels, channels)
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity()
        for layer in (self.v, self.attn, self.proj):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _said(self, x: Tensor) -> Tensor:
        """How each position says that its surroundings mix, b heads (h' w') k² k², at least float32; last axis: 1."""
        logits = self.attn(self.pool(x).permute(0, 2, 3, 1)) * self.scale
        around = self.kernel_size**2
        said = at_least_float32(logits.unflatten(3, (self.num_heads, around, around)).movedim(3, 1)).softmax(-1)
        return said.flatten(2, 3)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b heads n n; of all that is said of it, the sum.

        Computed on request, in float32 or better: a forward never has them.
        """
        said = self._said(x)
        alone = every_position(said, x)
        mixed = spoken(alone, said, self.kernel_size, self.stride).flatten(2)
        return mixed.unflatten(1, (self.num_heads, -1)).transpose(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        v = self.v(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        y = spoken(v, self._said(x).to(v.dtype), self.kernel_size, self.stride)
        return in_format_of(x, self.proj(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def every_position(said: Tensor, x: Tensor) -> Tensor:
    """For each head and position of x a map that is 1 there and 0 elsewhere: b (heads n) h w"""
    height, width = x.shape[2:]
    alone = torch.eye(height * width, dtype=said.dtype, device=x.device).unflatten(1, (height, width))
    return alone.repeat(said.shape[1], 1, 1).expand(x.shape[0], -1, -1, -1)


def spoken(v: Tensor, weights: Tensor, side: int, stride: int) -> Tensor:
    """Values b c h w, mixed around each position by weights b heads n k² k², and added up where they fall."""
    near = F.unfold(v, side, padding=side // 2, stride=stride)
    near = near.unflatten(1, (weights.shape[1], -1, side * side)).permute(0, 1, 4, 3, 2)
    mixed = (weights @ near).permute(0, 1, 4, 3, 2).flatten(1, 3)
    return F.fold(mixed, v.shape[2:], side, padding=side // 2, stride=stride)


for _name in ("at_least_float32", "every_position", "in_format_of", "spoken"):
    torch.fx.wrap(_name)
