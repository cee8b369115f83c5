"""CBAM: convolutional block attention module. Woo et al., CBAM, ECCV 2018."""

from __future__ import annotations

import torch
from einops import reduce
from torch import Tensor, nn

from composer.options import OddInt, PositiveInt
from composer.registry import mechanism


class ChannelAttention(nn.Module):
    """Rescale each channel by a gate computed from its mean and its maximum, with one shared perceptron.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(M(mean_hw(x)) + M(max_hw(x)))        M(z) = W2 relu(W1 z),  d = max(1, c // r)
    Params:  2cd + c + d;  2cd without bias
    Source:  Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, eq. 2. arXiv:1807.06521
    Departs: biases are on, as in the authors' code; the equation has none.

    >>> sum(p.numel() for p in ChannelAttention(64).parameters())
    580
    """

    def __init__(self, channels: int, *, reduction: PositiveInt = 16, bias: bool = True):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.act = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=bias)
        for layer in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _perceptron(self, z: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(z)))

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c 1 1, in (0, 1)."""
        mean = x.mean((2, 3), keepdim=True)
        peak = x.amax((2, 3), keepdim=True)
        return (self._perceptron(mean) + self._perceptron(peak)).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


class SpatialAttention(nn.Module):
    """Rescale each position by a gate computed from the mean and the maximum over channels around it.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(conv_k([mean_c(x); max_c(x)]))        conv_k: 2 -> 1, zero padded
    Params:  2k² + 1;  2k² without bias, 2k² + 2 with norm
    Source:  Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, eq. 3. arXiv:1807.06521
    Departs: mean before max and a bias, as in the equation; `norm` follows the authors' code, which has a batch norm.

    >>> sum(p.numel() for p in SpatialAttention().parameters())
    99
    """

    def __init__(self, *, kernel_size: OddInt = 7, bias: bool = True, norm: bool = False):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(
                f"cbam: kernel_size={kernel_size} is even; use an odd number, so that the map keeps its size"
            )
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=bias and not norm)
        self.bn = nn.BatchNorm2d(1) if norm else nn.Identity()

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b 1 h w, in (0, 1)."""
        mean = reduce(x, "b c h w -> b 1 h w", "mean")
        peak = reduce(x, "b c h w -> b 1 h w", "max")
        return self.bn(self.conv(torch.cat([mean, peak], 1))).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


@mechanism("cbam", kind="channel+spatial")
class CBAM(nn.Module):
    """Rescale channels first, then the positions of the result.

    Shape:   b c h w -> b c h w
    Math:    x' = x * sigmoid(M(mean_hw(x)) + M(max_hw(x)))        M(z) = W2 relu(W1 z),  d = max(1, c // r)
             y = x' * sigmoid(conv_k([mean_c(x'); max_c(x')]))
    Params:  2cd + c + d + 2k² + 1
    Source:  Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, eq. 1-3. arXiv:1807.06521
    Departs: biases are on; the authors' code has them in M only, and a batch norm behind conv_k (`norm`).

    >>> sum(p.numel() for p in CBAM(64).parameters())
    679
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveInt = 16,
        kernel_size: OddInt = 7,
        bias: bool = True,
        norm: bool = False,
    ):
        super().__init__()
        self.channel = ChannelAttention(channels, reduction=reduction, bias=bias)
        self.spatial = SpatialAttention(kernel_size=kernel_size, bias=bias, norm=norm)

    def attention(self, x: Tensor) -> Tensor:
        """The product of both gates, b c h w, in (0, 1)."""
        channel = self.channel.attention(x)
        return channel * self.spatial.attention(x * channel)

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.channel(x))
