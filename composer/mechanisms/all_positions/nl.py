"""NL: the non-local block. Wang et al., Non-local Neural Networks, CVPR 2018."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.token.mhsa import softmax_of_keys
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("softmax_of_keys")


def _plain(module: NonLocal, x: Tensor) -> Tensor:
    """The same output, computed with stored weights, without fused attention."""
    y = module.attention(x) @ module._tokens(module.g(module.pool(x)))
    return x + module.bn(module.proj(y.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:])))


@mechanism(
    "nl",
    kind="token",
    group="global",
    layout="b c h w",
    place={"after": "stage", "where": "last"},
    reference=_plain,
    aliases=("non-local", "nonlocal", "non-local block"),
)
class NonLocal(nn.Module):
    """Add to each position a mixture of all positions, weighted by how well its query matches their keys.

    Shape:   b c h w -> b c h w
    Math:    y = x + BN(W (A g(x')))        A = softmax_keys(theta(x)ᵀ phi(x')),  theta, phi, g: c -> d,  W: d -> c
             d = max(1, c // r),  x' = x, or with sub_sample max pooled over 2 × 2
    Params:  4cd + 3d + 3c
    MACs:    4cd h w + 2d (h w)²;  2cd h w + 2cd m + 2d h w m with sub_sample,  m = floor(h / 2) floor(w / 2)
    Source:  Wang et al., Non-local Neural Networks, CVPR 2018, eq. 4 and 6, embedded Gaussian. arXiv:1711.07971
    Departs: nothing. The authors' code also divides the logits by sqrt(d), as Vaswani et al. do (`scale`).
    Start:   the authors' code: N(0, 0.01²) and zero biases; the scale of the batch norm is 0, so that the block starts
             as the identity.

    `reduction` is r.

    >>> sum(p.numel() for p in NonLocal(64, 7, 7).parameters())
    8480
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        reduction: PositiveInt = 2,
        sub_sample: bool = False,
        scale: bool = False,
    ):
        super().__init__()
        if sub_sample and min(height, width) < 2:
            raise ValueError(f"nl: sub_sample pools 2×2, the map is {height}×{width}; set `sub_sample: false`")
        hidden = max(1, channels // reduction)
        self.scale = hidden**-0.5 if scale else 1.0
        self.theta = nn.Conv2d(channels, hidden, 1)
        self.phi = nn.Conv2d(channels, hidden, 1)
        self.g = nn.Conv2d(channels, hidden, 1)
        self.pool = nn.MaxPool2d(2) if sub_sample else nn.Identity()
        self.proj = nn.Conv2d(hidden, channels, 1)
        self.bn = nn.BatchNorm2d(channels)
        for layer in (self.theta, self.phi, self.g, self.proj):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.bn.weight)

    def _tokens(self, x: Tensor) -> Tensor:
        # Fused attention needs rows without gaps.
        return x.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b 1 n m, at least float32; rows sum to 1.

        Computed on request: a forward never stores them.
        """
        return softmax_of_keys(self._tokens(self.theta(x)), self._tokens(self.phi(self.pool(x))), self.scale)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(x)
        q, k, v = self._tokens(self.theta(x)), self._tokens(self.phi(pooled)), self._tokens(self.g(pooled))
        y = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        y = y.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.bn(self.proj(y))
