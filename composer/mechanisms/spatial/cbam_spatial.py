"""The spatial half of CBAM. Woo et al., CBAM, ECCV 2018."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.grouped import gated_by
from composer.kernels.passes import is_large
from composer.mechanisms.shared.odd import check_odd
from composer.options import OddInt
from composer.registry import mechanism


@mechanism("cbam_spatial", kind="spatial", aliases=("spatial attention", "SpatialAttention", "空间注意力"))
class SpatialAttention(nn.Module):
    """Rescale each position by a gate computed from the mean and the maximum over channels around it.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(conv_k([mean_c(x); max_c(x)]))        conv_k: 2 -> 1, zero padded
    Params:  2k² + 1;  2k² without bias;  2k² + 2 with norm
    MACs:    2k² h w
    Source:  Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, eq. 3. arXiv:1807.06521
    Departs: mean before max and a bias, as in the equation; `norm` follows the authors' code, which has a batch norm,
             of momentum 0.01. Equal maxima share the gradient; in the authors' code one gets all of it.
    Start:   the authors' code: N(0, 2 / k²) and zero biases. The scale of the batch norm is 0: gates start at 1/2.

    `kernel_size` is k.

    >>> sum(p.numel() for p in SpatialAttention().parameters())
    99
    """

    def __init__(self, *, kernel_size: OddInt = 7, bias: bool = True, norm: bool = False):
        super().__init__()
        check_odd("cbam_spatial", kernel_size)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=bias and not norm)
        self.bn = nn.BatchNorm2d(1, momentum=0.01) if norm else nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)
        if isinstance(self.bn, nn.BatchNorm2d):
            nn.init.zeros_(self.bn.weight)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and maximum of the channels at each position, b 1 h w."""
        return x.mean(1, keepdim=True), x.amax(1, keepdim=True)

    def excite(self, mean: Tensor, maximum: Tensor) -> Tensor:
        """The gate b 1 h w, from the statistics."""
        gate: Tensor = self.bn(self.conv(torch.cat([mean, maximum], 1))).sigmoid()
        return gate

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b 1 h w, in (0, 1)."""
        return self.excite(*self.statistics(x))

    @fused(gated_by(("mean", 1), ("max", 1)), where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
