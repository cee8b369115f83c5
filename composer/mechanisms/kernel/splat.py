"""SplAt: the split attention of ResNeSt. Zhang et al., ResNeSt: Split-Attention Networks, CVPRW 2022."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from composer.arithmetic import same_padding
from composer.mechanisms.kernel.sk import weighted_sum
from composer.mechanisms.shared.divisors import nearest_divisors
from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import NonNegativeInt, Padding, PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
torch.fx.wrap("weighted_sum")


@mechanism("splat", kind="branch", replaces="conv-norm-act", aliases=("split attention", "resnest", "SplitAttn"))
class SplitAttention(nn.Module):
    """Convolve in R branches within each of K groups, and let each channel choose softly among the branches.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w
    Math:    [U_1; ...; U_R] = relu(BN(conv(x)))        one convolution with K R groups, R o outputs, radix-major
             a = softmax_r(W2 relu(BN(W1 mean_hw(sum_r U_r))))        W1: o -> d,  W2: d -> R o,  both with K groups
             y = sum_r a_r * U_r        d = max(c R // r, floor)
    Params:  k² o c / K + 2Ro + o d / K + d + 2d + d R o / K + R o;  k² o c / K + 2o at R = 0
    MACs:    k² o c h' w' / K + o d / K + d R o / K;  k² o c h' w' / K at R = 0
    Source:  Zhang et al., ResNeSt: Split-Attention Networks, CVPRW 2022, eq. 1-3 and fig. 8. arXiv:2004.08955
    Departs: the radix-major order, the biases and the floor are the authors' code. R = 1 uses a sigmoid, since
             a softmax over one value is always 1; R = 0 is a plain convolution with its norm and relu.
    Start:   the authors' code: N(0, 2 / (k² outputs)), and biases as PyTorch does, U(-b, b) with b = 1 / sqrt(inputs)
             of an output.

    `radix` is R, `reduction` is r. `cardinality` is K, by default the groups of the replaced convolution; K = 1 is
    SplAt-0. `avd`: a 3 × 3 mean before or after takes over the convolution's stride (`after`: h' w' in the MACs are h
    w). Norm and activation are inside. In training mode it needs a batch of at least 2, since the batch norm of the
    pooled features raises ValueError over one value; `norm: layer` and `norm: none` do not.

    >>> sum(p.numel() for p in SplitAttention(64, 64).parameters())
    43488
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        kernel_size: Size = 3,
        stride: Size = 1,
        padding: Padding | None = None,
        dilation: Size = 1,
        groups: PositiveInt = 1,
        *,
        radix: NonNegativeInt = 2,
        cardinality: PositiveInt | None = None,
        reduction: PositiveInt = 4,
        floor: PositiveInt = 32,
        avd: Literal["none", "before", "after"] = "none",
        norm: PooledNorm = "batch",
    ):
        super().__init__()
        cardinality = cardinality or groups
        splits = max(radix, 1)
        hidden = max(in_channels * splits // reduction, floor)
        _check(in_channels, out_channels, cardinality, splits, hidden if radix else cardinality)
        strided = avd != "none" and stride not in (1, (1, 1))
        self.radix, self.cardinality = radix, cardinality
        self.pool_before = nn.AvgPool2d(3, stride, padding=1) if strided and avd == "before" else nn.Identity()
        self.conv = nn.Conv2d(
            in_channels,
            splits * out_channels,
            kernel_size,
            1 if strided else stride,
            padding=same_padding(kernel_size, dilation) if padding is None else padding,
            dilation=dilation,
            groups=splits * cardinality,
            bias=False,
        )
        self.bn0 = nn.BatchNorm2d(splits * out_channels)
        self.act0 = nn.ReLU()
        if radix:
            self.fc1 = nn.Conv2d(out_channels, hidden, 1, groups=cardinality)
            self.bn1 = pooled_norm(norm, hidden)
            self.act1 = nn.ReLU()
            self.fc2 = nn.Conv2d(hidden, radix * out_channels, 1, groups=cardinality)
        self.pool_after = nn.AvgPool2d(3, stride, padding=1) if strided and avd == "after" else nn.Identity()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def _split(self, x: Tensor) -> Tensor:
        features = self.act0(self.bn0(self.conv(self.pool_before(x))))
        return features.unflatten(1, (max(self.radix, 1), -1))

    def _select(self, features: Tensor) -> Tensor:
        s = features.sum(1).mean((2, 3), keepdim=True)
        logits = self.fc2(self.act1(self.bn1(self.fc1(s))))
        logits = logits.unflatten(1, (self.cardinality, self.radix, -1)).transpose(1, 2).flatten(2, 3)
        return at_least_float32(logits).softmax(1) if self.radix > 1 else logits.sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The share of each branch, b R o 1 1; sums to 1 over R (R = 1: in (0, 1)).

        Raises NotImplementedError for R = 0, which has no branches.
        """
        if self.radix == 0:
            raise NotImplementedError("splat: radix 0 is a plain convolution and has no attention")
        return self._select(self._split(x))

    def forward(self, x: Tensor) -> Tensor:
        features = self._split(x)
        if self.radix == 0:
            return self.pool_after(features.squeeze(1))
        weights = self._select(features).to(features.dtype)
        return self.pool_after(weighted_sum(weights.unbind(1), features.unbind(1)))


def _check(in_channels: int, out_channels: int, cardinality: int, splits: int, hidden: int) -> None:
    if in_channels % splits:
        text = f"{in_channels} input channels do not divide into {splits} splits"
        raise ValueError(f"splat: {text}; set radix to {nearest_divisors(in_channels, splits)}")
    parts = {"input": in_channels // splits, "output": out_channels, "hidden": hidden}
    for what, channels in parts.items():
        if channels % cardinality:
            of = f" of each of {splits} splits" if what == "input" and splits > 1 else ""
            nearest = nearest_divisors(math.gcd(*parts.values()), cardinality)
            text = f"{channels} {what} channels{of} do not divide into {cardinality} groups"
            raise ValueError(f"splat: {text}; set cardinality to {nearest}")
