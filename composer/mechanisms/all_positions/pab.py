"""PAB: position-wise attention block. Fan et al., MA-Net, IEEE Access 2020."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.precision import at_least_float32
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")


@mechanism(
    "pab",
    kind="token",
    group="global",
    layout="b c h w",
    place={"after": "stage", "where": "last"},
    aliases=("position-wise attention block", "PABBlock", "MA-Net", "MANet"),
)
class PositionWiseAttention(nn.Module):
    """Add to a map a mixture of all positions, in which the weights of all pairs of positions sum to 1.

    Shape:   b c h w -> b c h w
    Math:    y = K2 (x + R(A K1 x))        A_ij = softmax_ij(q_iᵀ k_j),  q, k: c -> d at each position
             K1, K2: c -> c, convolutions 3 × 3;  R reads the numbers of n × c, position by position, as c h w
             at keep_positions: R gives each mixture its position
    Params:  18c² + 2c + 2c d + 2d
    MACs:    18c² h w + 2c d h w + (c + d) h w h w
    Source:  Fan et al., MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation, IEEE Access 2020.
             doi:10.1109/ACCESS.2020.3025372
    Departs: nothing from segmentation_models_pytorch, where the softmax is over pairs and R does not transpose.
    Start:   segmentation_models_pytorch's block, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(inputs of an
             output).

    The weights of a position sum to about 1 / n, so that at the start the mixtures are small. They are stored, n × n.
    `inner` is d.

    >>> sum(p.numel() for p in PositionWiseAttention(64).parameters())
    82176
    """

    def __init__(self, channels: int, *, inner: PositiveInt = 64, keep_positions: bool = False):
        super().__init__()
        self.keep_positions = keep_positions
        self.top_conv, self.center_conv = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.bottom_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.out_conv = nn.Conv2d(channels, channels, 3, padding=1)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all pairs, b 1 n n; they sum to 1 over both."""
        logits = self.center_conv(x).flatten(2).transpose(1, 2) @ self.top_conv(x).flatten(2)
        shares = at_least_float32(logits).flatten(1).softmax(1).view_as(logits)
        return shares.unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        v = self.bottom_conv(x).flatten(2).transpose(1, 2)
        mixed = self.attention(x).squeeze(1).to(v.dtype) @ v
        mixed = mixed.transpose(1, 2).reshape(x.shape) if self.keep_positions else mixed.reshape(x.shape)
        y: Tensor = self.out_conv(x + mixed)
        return y
