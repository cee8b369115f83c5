"""CBAM: convolutional block attention module. Woo et al., CBAM, ECCV 2018."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.channel.cbam_channel import ChannelAttention
from composer.mechanisms.spatial.cbam_spatial import SpatialAttention
from composer.options import OddInt, PositiveInt
from composer.registry import mechanism


@mechanism("cbam", kind="channel+spatial", aliases=("convolutional block attention module", "CbamModule", "卷积注意力"))
class CBAM(nn.Module):
    """Rescale channels first, then the positions of the result.

    Shape:   b c h w -> b c h w
    Math:    x' = x * sigmoid(M(mean_hw(x)) + M(max_hw(x)))        M(z) = W2 relu(W1 z),  d = max(1, c // r)
             y = x' * sigmoid(conv_k([mean_c(x'); max_c(x')]))
    Params:  2cd + c + d + 2k² + 1;  2cd + 2k² without bias;  1 more with norm
    MACs:    4cd + 2k² h w
    Source:  Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, eq. 1-3. arXiv:1807.06521
    Departs: biases are on; the authors' code has them in M only, and a batch norm after conv_k (`norm`). Equal
             maxima share the gradient; in the authors' code one of them gets all of it.
    Start:   the authors' code: W1 and W2 as PyTorch does, U(-b, b) with b = 1 / sqrt(inputs), conv_k N(0, 2 / k²),
             zero biases. With `norm`, its scale is 0, so that every spatial gate starts at 1/2.

    `reduction` is r, `kernel_size` is k; `bias` is that of all layers.

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
