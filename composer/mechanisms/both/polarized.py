"""Polarized self-attention. Liu et al., 2021."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.precision import at_least_float32
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")


@mechanism(
    "polarized",
    kind="channel+spatial",
    layout="b c *",
    aliases=("polarized self-attention", "psa", "psa_p", "psa_s", "极化自注意力"),
)
class PolarizedSelfAttention(ChannelGate):
    """Rescale each element by a gate of its channel and a gate of its position, each from a softmax over the positions.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * a(x) + x * e(x)        `form: sequential`: y = x' * e(x'),  x' = x * a(x)
             a = sigmoid(U V sum_j softmax_j(q x_j) x_j),  e = sigmoid(softmax_hw((Q mean_hw(x))ᵀ T x))
             `form: sequential`: U = U2 relu(LN(U1 ·)),  e = sigmoid((Q mean_hw(x))ᵀ softmax_hw(T x))
             q: c -> 1,  V, Q, T: c -> d,  U: d -> c,  d = c // 2,  U1: d -> m,  U2: m -> c,  m = max(2, d // 4)
    Params:  4cd + c;  3cd + d m + c m + 3m + 2c with form sequential
    MACs:    (2c + cd + d) h w + 3cd;  (2c + cd + d) h w + 2cd + d m + c m with form sequential
    Source:  Liu et al., Polarized Self-Attention: Towards High-quality Pixel-wise Regression, 2021. arXiv:2107.00782.
             The authors' code, whose two forms differ in U and in the place of a softmax.
    Departs: V and Q map pooled vectors and not whole maps, which is the same: they are linear. m is at least 2.
    Start:   the authors' code: q, V, Q and T N(0, 2 / c); the rest PyTorch's own, U(-b, b),  b = 1 / sqrt(inputs).

    In the parallel form e is the sigmoid of shares that sum to 1: between 1/2 and 0.74, and near 1/2 on large maps.

    >>> sum(p.numel() for p in PolarizedSelfAttention(64).parameters())
    8256
    """

    def __init__(
        self,
        channels: int,
        spatial_dims: int = 2,
        *,
        form: Literal["parallel", "sequential"] = "parallel",
    ):
        if channels < 2:
            raise ValueError(f"polarized: it halves the channels, found {channels}; put it where there are 2 or more")
        super().__init__(spatial_dims)
        self.form, hidden = form, channels // 2
        self.conv_q_right = self.pointwise(channels, 1, bias=False)
        self.conv_v_right = self.pointwise(channels, hidden, bias=False)
        self.conv_up: nn.Module = self.pointwise(hidden, channels, bias=False)
        if form == "sequential":
            middle = max(2, hidden // 4)
            down, up = self.pointwise(hidden, middle), self.pointwise(middle, channels)
            self.conv_up = nn.Sequential(down, nn.GroupNorm(1, middle), nn.ReLU(), up)
        self.conv_q_left = self.pointwise(channels, hidden, bias=False)
        self.conv_v_left = self.pointwise(channels, hidden, bias=False)
        for layer in (self.conv_q_right, self.conv_v_right, self.conv_q_left, self.conv_v_left):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")

    def _channels(self, x: Tensor) -> Tensor:
        """a, b c 1 1."""
        shares = at_least_float32(self.conv_q_right(x).flatten(2)).softmax(2).to(x.dtype)
        pooled = x.flatten(2) @ shares.transpose(1, 2)
        for axis in self.positions[1:]:
            pooled = pooled.unsqueeze(axis)
        gate: Tensor = self.conv_up(self.conv_v_right(pooled)).sigmoid()
        return gate

    def _positions(self, x: Tensor) -> Tensor:
        """e, b 1 h w."""
        q = self.conv_q_left(self.mean(x)).flatten(2).transpose(1, 2)
        t = self.conv_v_left(x)
        sizes = t.shape[2:]
        if self.form == "parallel":
            shares = at_least_float32(q @ t.flatten(2)).softmax(2).to(x.dtype)
            return shares.sigmoid().unflatten(2, sizes)
        return (q @ at_least_float32(t.flatten(2)).softmax(2).to(x.dtype)).sigmoid().unflatten(2, sizes)

    def attention(self, x: Tensor) -> Tensor:
        """The factor of each element, b c h w: a + e, in (1/2, 1.74), or in sequence a * e, in (0, 1)."""
        a = self._channels(x)
        return a + self._positions(x) if self.form == "parallel" else a * self._positions(x * a)

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "parallel":
            return x * (self._channels(x) + self._positions(x))
        x = x * self._channels(x)
        return x * self._positions(x)
