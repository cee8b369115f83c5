"""GAU: global attention upsample. Li et al., Pyramid Attention Network, BMVC 2018."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm
from composer.registry import mechanism


@mechanism(
    "gau",
    kind="fusion",
    applied="gate",
    place={"after": "branch", "where": "block > 1"},
    aliases=("global attention upsample", "GAUBlock", "PAN", "全局注意力上采样"),
)
class GlobalAttentionUpsample(nn.Module):
    """Add to a coarse map a fine one, each channel of which the pooled coarse map gates.

    Shape:   b c h w, b e i j -> b e h w
    Math:    y = up(high) + a * relu(BN(K x))        a = sigmoid(BN(W mean_ij(high)))
             K: c -> e, a convolution 3 × 3,  W: e -> e,  up: bilinear to h w, corners on corners
    Params:  9c e + e² + 6e;  2e less at norm none
    MACs:    9c e h w + e²
    Source:  Li et al., Pyramid Attention Network for Semantic Segmentation, BMVC 2018. arXiv:1805.10180. The form of
             segmentation_models_pytorch.
    Departs: nothing from segmentation_models_pytorch, which gates by a sigmoid and has a bias before each norm. We know
             of no code of the authors.
    Start:   segmentation_models_pytorch's, which is PyTorch's own: U(-b, b),  b = 1 / sqrt(inputs of an output).

    x is the place's tensor, the fine map; a rule binds the coarse one: `from: {high: ../up}`. The output has the
    channels of `high`. In training mode it needs a batch of at least 2, since the batch norm of the pooled features
    raises ValueError over one value; `norm: layer` and `norm: none`, which change this norm alone, do not.

    >>> sum(p.numel() for p in GlobalAttentionUpsample(64, 32).parameters())
    19648
    """

    def __init__(self, channels: int, high_channels: int, *, norm: PooledNorm = "batch"):
        super().__init__()
        self.pooled, self.pooled_bn = nn.Conv2d(high_channels, high_channels, 1), pooled_norm(norm, high_channels)
        self.conv = nn.Conv2d(channels, high_channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(high_channels)

    def attention(self, x: Tensor, high: Tensor) -> Tensor:
        """The gate, b e 1 1, in (0, 1)."""
        gate: Tensor = self.pooled_bn(self.pooled(high.mean((2, 3), keepdim=True))).sigmoid()
        return gate

    def forward(self, x: Tensor, high: Tensor) -> Tensor:
        up = F.interpolate(high, size=x.shape[2:], mode="bilinear", align_corners=True)
        return up + self.bn(self.conv(x)).relu() * self.attention(x, high)
