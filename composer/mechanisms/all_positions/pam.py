"""PAM: the position attention module of DANet. Fu et al., Dual Attention Network for Scene Segmentation, CVPR 2019."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.fused import attend_wide, tokens
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.token.mhsa import softmax_of_keys
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("attend_wide")
torch.fx.wrap("in_format_of")
torch.fx.wrap("softmax_of_keys")


def _plain(module: PositionAttention, x: Tensor) -> Tensor:
    """The same output, computed with stored weights, without fused attention."""
    y = module.attention(x).squeeze(1) @ tokens(module.value_conv(x))
    return x + module.gamma * y.transpose(1, 2).unflatten(2, x.shape[2:])


@mechanism(
    "pam",
    kind="token",
    group="global",
    layout="b c h w",
    place={"after": "stage", "where": "last"},
    reference=_plain,
    aliases=("position attention module", "danet", "dual attention network", "self-attention of sagan", "位置注意力"),
)
class PositionAttention(nn.Module):
    """Add to each position a mixture of all positions, weighted by how well its query matches their keys.

    Shape:   b c h w -> b c h w
    Math:    y = x + gamma A V        A = softmax_keys(Q Kᵀ),  Q, K: c -> d,  V: c -> c,  d = max(1, c // r)
    Params:  2cd + 2d + c² + c + 1
    MACs:    2cd h w + c² h w + 2m d (h w)²        m = ceil(c / d)
    Source:  Fu et al., Dual Attention Network for Scene Segmentation, CVPR 2019. arXiv:1809.02983
    Departs: nothing. d is the authors' code's; the logits are not divided by sqrt(d).
    Start:   the authors' code: kernels and biases as PyTorch does, U(-b, b) with b = 1 / sqrt(c), and gamma = 0, so
             that it starts as the identity.

    `reduction` is r. In DANet a convolution stands before it and one behind it. The logits are computed again for each
    d channels of the values, so that no weights of all positions are stored.

    >>> sum(p.numel() for p in PositionAttention(64).parameters())
    5201
    """

    def __init__(self, channels: int, *, reduction: PositiveInt = 8):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.query_conv = nn.Conv2d(channels, hidden, 1)
        self.key_conv = nn.Conv2d(channels, hidden, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b 1 n n, at least float32; rows sum to 1.

        Computed on request: a forward never stores them.
        """
        q, k = tokens(self.query_conv(x)).unsqueeze(1), tokens(self.key_conv(x)).unsqueeze(1)
        return softmax_of_keys(q, k, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = tokens(self.query_conv(x)), tokens(self.key_conv(x)), tokens(self.value_conv(x))
        y = attend_wide(q, k, v, 1.0).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.gamma * in_format_of(x, y)
