"""MLCA: mixed local channel attention. Wan et al., 2023."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.channel.eca import adaptive_kernel_size
from composer.mechanisms.shared.memory_format import with_gradient_in_format
from composer.mechanisms.shared.odd import check_odd
from composer.options import OddInt, PositiveInt, Probability
from composer.registry import mechanism

torch.fx.wrap("with_gradient_in_format")


@mechanism(
    "mlca",
    kind="channel+spatial",
    aliases=("mixed local channel attention", "混合局部通道注意力"),
)
class MixedLocalChannelAttention(nn.Module):
    """Rescale each element by gates as of ECA, one from the whole map and one from the part of the map around it.

    Shape:   b c h w -> b c h w
    Math:    y = x * up((1 - m) sigmoid(conv_k(mean_ij(z))) + m sigmoid(conv'_k(z)))        z = mean(x) in s × s parts
             conv_k, conv'_k: a kernel of length k over the c values of a part, zero padded;  up: a position takes the
             mean of the parts that it overlaps;  k: the rule of `eca`
    Params:  2k
    MACs:    k c (s² + 1) + c s h (s + w)
    Source:  Wan et al., Mixed local channel attention for object detection, Engineering Applications of Artificial
             Intelligence 123, 2023. doi:10.1016/j.engappai.2023.106442. The authors' code, for the parts and m.
    Departs: conv'_k sees one part; the authors' code writes all parts behind each other, so that its kernel runs from
             the last channels of a part to the first of the next: (k - 1) / 2 channels at each end differ.
    Start:   the authors' code, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(k).

    `local_size` is s, `local_weight` is m; `kernel_size` sets k directly. Maps below s × s are stretched to it.

    >>> sum(p.numel() for p in MixedLocalChannelAttention(64).parameters())
    6
    """

    def __init__(
        self,
        channels: int,
        *,
        local_size: PositiveInt = 5,
        local_weight: Probability = 0.5,
        kernel_size: OddInt | None = None,
    ):
        super().__init__()
        if kernel_size is None:
            kernel_size = adaptive_kernel_size(channels)
        check_odd("mlca", kernel_size, "every channel has a gate")
        self.local_size, self.local_weight = local_size, local_weight
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.conv_local = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w, in (0, 1)."""
        height, width = x.shape[2:]
        side = self.local_size
        parts = F.adaptive_avg_pool2d(with_gradient_in_format(x), side).flatten(2).transpose(1, 2)
        whole = self.conv(parts.mean(1, keepdim=True)).sigmoid()
        local = self.conv_local(parts.flatten(0, 1).unsqueeze(1)).squeeze(1).unflatten(0, (-1, side * side)).sigmoid()
        gate = (whole * (1 - self.local_weight) + local * self.local_weight).transpose(1, 2)
        return spread(side, height, x) @ gate.unflatten(2, (side, side)) @ spread(side, width, x).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


def spread(parts: int, length: int, like: Tensor) -> Tensor:
    """The weights of parts for each place of a length, as adaptive average pooling has them: length parts."""
    place = torch.arange(length, device=like.device).unsqueeze(1)
    part = torch.arange(parts, device=like.device)
    first, last = place * parts // length, ((place + 1) * parts + length - 1) // length
    inside = ((part >= first) & (part < last)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


torch.fx.wrap("spread")
