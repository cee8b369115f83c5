"""ECA: efficient channel attention. Wang et al., ECA-Net, CVPR 2020."""

from __future__ import annotations

import math

from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.channel import gated_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.odd import check_odd
from composer.options import FiniteFloat, OddInt, PositiveFloat
from composer.registry import mechanism


@mechanism("eca", kind="channel", layout="b c *", aliases=("eca-net", "efficient channel attention", "EcaModule"))
class ECA(ChannelGate):
    """Rescale each channel by a gate computed from the pooled values of its neighbours in channel order.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(conv_k(mean_hw(x)))        a kernel of length k over the c pooled values, zero-padded
             k = the odd number nearest to (log2(c) + beta) / gamma, ties up
    Params:  k
    MACs:    k c
    Source:  Wang et al., ECA-Net: Efficient Channel Attention for Deep CNNs, CVPR 2020, eq. 9 and 12. arXiv:1910.03151
    Departs: nothing.
    Start:   the authors' code, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(k).

    `kernel_size` sets k directly, in place of the formula with `gamma` and `beta`.

    >>> sum(p.numel() for p in ECA(256).parameters())
    5
    """

    def __init__(
        self,
        channels: int,
        spatial_dims: int = 2,
        *,
        kernel_size: OddInt | None = None,
        gamma: PositiveFloat = 2.0,
        beta: FiniteFloat = 1.0,
    ):
        super().__init__(spatial_dims)
        if kernel_size is None:
            kernel_size = adaptive_kernel_size(channels, gamma, beta)
        check_odd("eca", kernel_size, "every channel has a gate")
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        gate = self.conv(z.flatten(1).unsqueeze(1)).sigmoid().transpose(1, 2)
        for axis in self.positions[1:]:
            gate = gate.unsqueeze(axis)
        return gate

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        return self.excite(self.mean(x))

    @fused(gated_by_mean, where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


def adaptive_kernel_size(channels: int, gamma: float = 2.0, beta: float = 1.0) -> int:
    """The number of neighbouring channels for a gate. Raises ValueError if it is larger than possible.

    >>> [adaptive_kernel_size(c) for c in (4, 64, 128, 512, 2048)]
    [1, 3, 5, 5, 7]
    """
    k = abs((math.log2(channels) + beta) / gamma)
    if k >= 2 * channels:
        text = f"gamma={gamma:g} and beta={beta:g} ask for {k:.3g} neighbours among {channels} channels"
        raise ValueError(f"eca: {text}; use a larger gamma or a smaller beta, or set kernel_size")
    return int(k) if int(k) % 2 else int(k) + 1
