"""GC: the global context block. Cao et al., GCNet, ICCV workshops 2019."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")


class ContextBlock(ChannelGate):
    """Pools a map by a softmax over its positions, transforms the vector and gives it to every position.

    hidden  the width of the transform
    eps     that of its layer norm
    """

    def __init__(self, channels: int, spatial_dims: int, hidden: int, fuse: str, eps: float):
        super().__init__(spatial_dims)
        self.fuse = fuse
        self.conv_attn = self.pointwise(channels, 1)
        self.fc1 = self.pointwise(channels, hidden)
        self.norm = nn.GroupNorm(1, hidden, eps)
        self.act = nn.ReLU()
        self.fc2 = self.pointwise(hidden, channels)
        nn.init.kaiming_normal_(self.conv_attn.weight, mode="fan_in", nonlinearity="relu")

    def _weights(self, x: Tensor) -> Tensor:
        """The weights of all positions, b 1 n."""
        return at_least_float32(self.conv_attn(x).flatten(2)).softmax(2)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions, the same for each position (row), b 1 n n, at least float32; rows sum to 1."""
        weights = self._weights(x).unsqueeze(2)
        return weights.expand(-1, -1, weights.shape[3], -1)

    def forward(self, x: Tensor) -> Tensor:
        # In this order, the backward pass holds one gradient of the map less.
        weights = self._weights(x).to(x.dtype).transpose(1, 2)
        context = x.flatten(2) @ weights
        for axis in self.positions[1:]:
            context = context.unsqueeze(axis)
        term = self.fc2(self.act(self.norm(self.fc1(context))))
        return x + term if self.fuse == "add" else x * term.sigmoid()


@mechanism(
    "gc",
    kind="token",
    group="global",
    layout="b c *",
    place={"after": "branch"},
    aliases=("global context", "gcnet", "gcblock", "context block", "global context block", "全局上下文"),
)
class GlobalContext(ContextBlock):
    """Add to each position the same vector, computed from a mixture of all positions.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x + W2 relu(LN(W1 z))        z = sum_j a_j x_j,  a = softmax_j(w x_j),  j over all positions
             `fuse: mul`: y = x * sigmoid(W2 relu(LN(W1 z)))
             W1: c -> d,  W2: d -> c,  w: c -> 1,  d = max(2, c // r)
    Params:  2cd + 2c + 3d + 1
    MACs:    2cd + 2c h w
    Source:  Cao et al., GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond, ICCV workshops 2019.
             arXiv:1904.11492
    Departs: all layers have biases, as in the authors' code; the softmax ignores that of w: `conv_attn.bias` gets no
             gradient. d is at least 2, since the layer norm of one number is constant. timm's `gc` multiplies, and its
             `gca` adds: the mechanism `gca`.
    Start:   the authors' code: w N(0, 2 / c) and zero bias; W1 as PyTorch does, U(-b, b) with b = 1 / sqrt(c); W2 and
             its bias zero, so that the block starts as the identity, and with `fuse: mul` every gate at 1/2.

    `reduction` is r.

    >>> sum(p.numel() for p in GlobalContext(64).parameters())
    653
    """

    def __init__(
        self,
        channels: int,
        spatial_dims: int = 2,
        *,
        reduction: PositiveInt = 16,
        fuse: Literal["add", "mul"] = "add",
    ):
        super().__init__(channels, spatial_dims, max(2, channels // reduction), fuse, eps=1e-5)
        assert self.conv_attn.bias is not None
        assert self.fc2.bias is not None
        for tensor in (self.conv_attn.bias, self.fc2.weight, self.fc2.bias):
            nn.init.zeros_(tensor)
