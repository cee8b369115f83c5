"""MFAB: multi-scale fusion attention block. Fan et al., MA-Net, IEEE Access 2020."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "mfab",
    kind="fusion",
    applied="gate",
    place={"after": "branch", "where": "block > 1"},
    aliases=("multi-scale fusion attention block", "MFABBlock", "multiscale fusion attention", "MA-Net"),
)
class MultiScaleFusionAttention(nn.Module):
    """Join a skip connection and a coarser map, whose channels the pooled values of both gate.

    Shape:   b c h w, b e i j -> b o h w
    Math:    y = f2(f1([(a + a') * z, x]))        z = up(f4(f3(high))),  a = SE(z),  a' = SE'(x)
             f_i: relu(BN(K_i .)),  K1: 2c -> o, K2: o -> o and K3: e -> e convolutions 3 × 3,  K4: e -> c
             SE(z) = sigmoid(W2 relu(W1 mean_hw(z))),  W1: c -> d,  W2: d -> c,  d = max(1, c // r)
             up: the nearest neighbour, to h w;  o = c unless `out_channels` sets it
    Params:  9e² + 2e + c e + 4c + 4c d + 2d + 18c o + 9o² + 4o
    MACs:    9e² i j + c e i j + 4c d + 18c o h w + 9o² h w
    Source:  Fan et al., MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation, IEEE Access 2020.
             doi:10.1109/ACCESS.2020.3025372
    Departs: nothing from segmentation_models_pytorch at twice the size, which is all that it takes; here the coarse map
             may have any size.
    Start:   segmentation_models_pytorch's block, which leaves PyTorch's own: U(-b, b),  b = 1 / sqrt(inputs of an
             output).

    x is the place's tensor, the skip connection; a rule binds the coarse map: `from: {high: ../up}`.
    `reduction` is r.

    >>> sum(p.numel() for p in MultiScaleFusionAttention(64, 64).parameters())
    153224
    """

    def __init__(
        self, channels: int, high_channels: int, *, out_channels: PositiveInt | None = None, reduction: PositiveInt = 16
    ):
        super().__init__()
        out, inner = out_channels or channels, max(1, channels // reduction)
        self.high1, self.high2 = _conv(high_channels, high_channels, 3), _conv(high_channels, channels, 1)
        self.se_high, self.se_skip = _excitation(channels, inner), _excitation(channels, inner)
        self.conv1, self.conv2 = _conv(2 * channels, out, 3), _conv(out, out, 3)

    def _upsampled(self, x: Tensor, high: Tensor) -> Tensor:
        return F.interpolate(self.high2(self.high1(high)), size=x.shape[2:], mode="nearest")

    def _gate(self, x: Tensor, up: Tensor) -> Tensor:
        gate: Tensor = self.se_high(up.mean((2, 3), keepdim=True)) + self.se_skip(x.mean((2, 3), keepdim=True))
        return gate

    def attention(self, x: Tensor, high: Tensor) -> Tensor:
        """The factors of the coarse map, b c 1 1, in (0, 2)."""
        return self._gate(x, self._upsampled(x, high))

    def forward(self, x: Tensor, high: Tensor) -> Tensor:
        up = self._upsampled(x, high)
        y: Tensor = self.conv2(self.conv1(torch.cat([up * self._gate(x, up), x], 1)))
        return y


def _conv(inputs: int, outputs: int, kernel_size: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs), act=nn.ReLU()))


def _excitation(channels: int, inner: int) -> nn.Sequential:
    fc1, fc2 = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
    return nn.Sequential(OrderedDict(fc1=fc1, act=nn.ReLU(), fc2=fc2, gate=nn.Sigmoid()))
