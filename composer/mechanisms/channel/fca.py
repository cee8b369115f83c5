"""FCA: frequency channel attention. Qin et al., FcaNet, ICCV 2021."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer.mechanisms.shared.memory_format import with_gradient_in_format
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("with_gradient_in_format")
# Rows and columns of the frequencies on a 7 × 7 map: by the accuracy that each gives alone, from the best; from the
# lowest up; and from the worst.
_ORDERS = {
    "top": (
        (0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2, 4, 6, 3, 5, 5, 2, 6, 5, 5, 3, 3, 4, 2, 2, 6, 1),
        (0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2, 6, 3, 3, 3, 5, 1, 1, 2, 4, 2, 1, 1, 3, 0, 5, 3),
    ),
    "low": (
        (0, 0, 1, 1, 0, 2, 2, 1, 2, 0, 3, 4, 0, 1, 3, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4),
        (0, 1, 0, 1, 2, 0, 1, 2, 2, 3, 0, 0, 4, 3, 1, 5, 4, 3, 2, 1, 0, 6, 5, 4, 3, 2, 1, 0, 6, 5, 4, 3),
    ),
    "bottom": (
        (6, 1, 3, 3, 2, 4, 1, 2, 4, 4, 5, 1, 4, 6, 2, 5, 6, 1, 6, 2, 2, 4, 3, 3, 5, 5, 6, 2, 5, 5, 3, 6),
        (6, 4, 4, 6, 6, 3, 1, 4, 4, 5, 6, 5, 2, 2, 5, 1, 4, 3, 5, 0, 3, 1, 1, 2, 4, 2, 1, 1, 5, 3, 3, 3),
    ),
}
# The frequencies are those of a map of 7 × 7, and the authors' tables end at 32.
CELLS, MOST = 7, 32


@mechanism(
    "fca",
    kind="channel",
    aliases=("frequency channel attention", "fcanet", "multi-spectral channel attention", "频率通道注意力"),
)
class FrequencyChannelAttention(nn.Module):
    """Rescale each channel by a gate computed from a frequency of each channel, where SE takes the mean.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(W2 relu(W1 z))        z_c = sum_hw x_c B_uv,  u, v: those of the channel's part
             B_uv = k_u cos(pi u (i + 1/2) / h) k_v cos(pi v (j + 1/2) / w),  k_0 = 1 / sqrt(h), else sqrt(2 / h)
             u, v: those of the table for 7 × 7, times h // 7 and w // 7;  W1: c -> d,  W2: d -> c,  d = max(1, c // r)
    Params:  2cd
    MACs:    c h w + 2cd
    Source:  Qin et al., FcaNet: Frequency Channel Attention Networks, ICCV 2021. arXiv:2012.11879
    Departs: maps below 7 × 7 are stretched to 7 × 7, where the authors' code would give every frequency up and take
             sqrt(h w) times the mean.
    Start:   the authors' code, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(inputs).

    `reduction` is r. `frequencies` is the number of parts; by default 16, or, where 16 does not divide the channels,
    the largest power of two that does. `select` says which: `top`, the best by the authors' accuracies, `low`, the
    lowest, or `bottom`, the worst. It is made for the size of its place; a map of another size is pooled to that size,
    as in the authors' code.

    >>> sum(p.numel() for p in FrequencyChannelAttention(64, 56, 56).parameters())
    512
    """

    basis: Tensor

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        reduction: PositiveInt = 16,
        frequencies: Annotated[int, Field(gt=0, le=MOST)] | None = None,
        select: Literal["top", "low", "bottom"] = "top",
    ):
        super().__init__()
        if frequencies is None:
            frequencies = math.gcd(channels, 16)
        if channels % frequencies:
            text = f"{channels} channels do not divide into {frequencies} frequencies"
            raise ValueError(f"fca: {text}; set frequencies to {math.gcd(channels, 16)}, or leave it out")
        self.size = (max(CELLS, height), max(CELLS, width))
        self.select, self.frequencies = select, frequencies
        hidden = max(1, channels // reduction)
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(hidden, channels, bias=False)
        self.register_buffer("basis", torch.empty(frequencies, self.size[0] * self.size[1], 1), persistent=False)
        self.init_non_persistent_buffers()

    def init_non_persistent_buffers(self) -> None:
        """Computes the frequencies anew: f (h w) 1."""
        rows, columns = (
            _cosines(order[: self.frequencies], length)
            for order, length in zip(_ORDERS[self.select], self.size, strict=True)
        )
        self.basis.copy_((rows.unsqueeze(2) * columns.unsqueeze(1)).flatten(1).unsqueeze(2))

    def statistics(self, x: Tensor) -> Tensor:
        """A frequency of each channel, b c."""
        pooled = F.adaptive_avg_pool2d(with_gradient_in_format(x), self.size).flatten(2)
        return (pooled.unflatten(1, (self.frequencies, -1)) @ self.basis).flatten(1)

    def excite(self, z: Tensor) -> Tensor:
        """The gate b c 1 1, from the statistics."""
        gate: Tensor = self.fc2(self.act(self.fc1(z))).sigmoid()
        return gate.unsqueeze(2).unsqueeze(3)

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return self.excite(self.statistics(x))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


def _cosines(frequencies: tuple[int, ...], length: int) -> Tensor:
    """The orthonormal cosines of a length, in float64: a row for each frequency of a length of 7, scaled up."""
    u = torch.tensor(frequencies, dtype=torch.float64).unsqueeze(1) * (length // CELLS)
    places = (torch.arange(length, dtype=torch.float64) + 0.5) / length
    scale = torch.where(u == 0, 1.0, math.sqrt(2)) / math.sqrt(length)
    return (math.pi * u * places).cos() * scale
