"""FPA: feature pyramid attention. Li et al., Pyramid Attention Network, BMVC 2018."""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm
from composer.options import PositiveInt
from composer.registry import mechanism

# A map that is halved three times has a position left.
LEAST = 8


@mechanism(
    "fpa",
    kind="fusion",
    applied="gate",
    place={"after": "stage", "where": "stage == num_stages - 1"},
    aliases=("feature pyramid attention", "FPABlock", "PAN", "特征金字塔注意力"),
)
class FeaturePyramidAttention(nn.Module):
    """Rescale each position by a pyramid of three coarser maps, and add what the pooled map says.

    Shape:   b c h w -> b o h w
    Math:    y = g(mean_hw(x)) + a * f(x)        a = up(l1(z1) + up(l2(z2) + up(l3(z3))))
             z1 = p7(m(x)),  z2 = p5(m(z1)),  z3 = p3(m(z2))        m: max pooling 2 × 2,  one channel each
             f, g: c -> o, of kernel 1,  p7, l1 of 7 × 7,  p5, l2 of 5 × 5,  p3, l3 of 3 × 3; each with BN and relu
             up: bilinear, corners on corners;  o = c unless `out_channels` sets it
    Params:  2c o + 6o + 49c + 135;  2o less at norm none
    MACs:    c o + c o h w + 49c p + 49p + 50q + 18r        p, q, r: the positions of z1, z2, z3
    Source:  Li et al., Pyramid Attention Network for Semantic Segmentation, BMVC 2018. arXiv:1805.10180. The form of
             segmentation_models_pytorch.
    Departs: nothing from segmentation_models_pytorch. We know of no code of the authors.
    Start:   segmentation_models_pytorch's, which is PyTorch's own: U(-b, b),  b = 1 / sqrt(inputs of an output).

    No side of the map may be below 8. In training mode it needs a batch of at least 2, since the batch norm of the
    pooled features raises ValueError over one value; `norm: layer` and `norm: none`, which change this norm alone, do
    not. On a map with a side below 16 the norm of z3 may need a batch of 2 as well.

    >>> sum(p.numel() for p in FeaturePyramidAttention(64, 16, 16).parameters())
    11847
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        out_channels: PositiveInt | None = None,
        norm: PooledNorm = "batch",
    ):
        super().__init__()
        if min(height, width) < LEAST:
            text = f"a map of {height}×{width} cannot be halved three times"
            raise ValueError(f"fpa: {text}; put it where the map has {LEAST} rows and columns or more")
        out = out_channels or channels
        self.pooled, self.pooled_bn = nn.Conv2d(channels, out, 1), pooled_norm(norm, out)
        self.mid = _conv(channels, out, 1)
        self.down1, self.down2, self.down3 = _conv(channels, 1, 7), _conv(1, 1, 5), _conv(1, 1, 3)
        self.level3, self.level2, self.level1 = _conv(1, 1, 3), _conv(1, 1, 5), _conv(1, 1, 7)

    def attention(self, x: Tensor) -> Tensor:
        """The factors of f(x), b 1 h w."""
        z1 = self.down1(F.max_pool2d(x, 2))
        z2 = self.down2(F.max_pool2d(z1, 2))
        z3 = self.down3(F.max_pool2d(z2, 2))
        y = self.level2(z2) + _at_size_of(z2, self.level3(z3))
        return _at_size_of(x, self.level1(z1) + _at_size_of(z1, y))

    def forward(self, x: Tensor) -> Tensor:
        whole = self.pooled_bn(self.pooled(x.mean((2, 3), keepdim=True))).relu()
        y: Tensor = whole + self.attention(x) * self.mid(x)
        return y


def _conv(inputs: int, outputs: int, kernel_size: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs), act=nn.ReLU()))


def _at_size_of(x: Tensor, y: Tensor) -> Tensor:
    """The map y, bilinearly, corners on corners, on the positions of x."""
    return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=True)
