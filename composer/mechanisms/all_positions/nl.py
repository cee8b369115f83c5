"""NL: the non-local block. Wang et al., Non-local Neural Networks, CVPR 2018."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.fused import attend_wide
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.mechanisms.token.mhsa import softmax_of_keys
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("attend_wide")
torch.fx.wrap("softmax_of_keys")

Mode = Literal["embedded_gaussian", "gaussian", "dot_product", "concatenation"]


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
             d = max(1, c // r),  x' = x, or with sub_sample max pooled over 2 × 2;  it has m positions
             at mode gaussian: A = softmax_keys(xᵀ x');  at mode dot_product: A = theta(x)ᵀ phi(x') / m
             at mode concatenation: A_ij = relu(uᵀ theta(x)_i + vᵀ phi(x')_j) / m
    Params:  4cd + 3d + 3c;  2cd + d + 3c at mode gaussian;  2d more at mode concatenation
    MACs:    t c d (h w + m) + A        t = 2,  A = 2d h w m;  at mode gaussian t = 1,  A = 2c h w m
             at mode dot_product A = d² (h w + m);  at mode concatenation A = d (h w + m) + d h w m
    Source:  Wang et al., Non-local Neural Networks, CVPR 2018, eq. 2-6, by default embedded Gaussian. arXiv:1711.07971
    Departs: nothing. The authors' code also divides the logits by sqrt(d), as Vaswani et al. do (`scale`).
    Start:   the authors' code: N(0, 0.01²) and zero biases; the scale of the batch norm is 0, so that the block starts
             as the identity.

    `reduction` is r. The dot product needs no weights of all positions: phi and g are multiplied first. Only at mode
    concatenation are they stored.

    >>> sum(p.numel() for p in NonLocal(64, 7, 7).parameters())
    8480
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        mode: Mode = "embedded_gaussian",
        reduction: PositiveInt = 2,
        sub_sample: bool = False,
        scale: bool = False,
    ):
        super().__init__()
        if sub_sample and min(height, width) < 2:
            raise ValueError(f"nl: sub_sample pools 2×2, the map is {height}×{width}; set `sub_sample: false`")
        softmax = mode in ("embedded_gaussian", "gaussian")
        if scale and not softmax:
            raise ValueError(f"nl: scale divides the logits of a softmax, and mode {mode} has none; leave it out")
        hidden = max(1, channels // reduction)
        self.mode: Mode = mode
        self.scale = (channels if mode == "gaussian" else hidden) ** -0.5 if scale else 1.0
        embedded = mode != "gaussian"
        self.theta = nn.Conv2d(channels, hidden, 1) if embedded else nn.Identity()
        self.phi = nn.Conv2d(channels, hidden, 1) if embedded else nn.Identity()
        self.g = nn.Conv2d(channels, hidden, 1)
        self.concat = nn.Parameter(torch.empty(2, hidden)) if mode == "concatenation" else None
        self.pool = nn.MaxPool2d(2) if sub_sample else nn.Identity()
        self.proj = nn.Conv2d(hidden, channels, 1)
        self.bn = nn.BatchNorm2d(channels)
        for layer in (self.theta, self.phi, self.g, self.proj):
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        if self.concat is not None:
            nn.init.normal_(self.concat, std=0.01)
        nn.init.zeros_(self.bn.weight)

    def _tokens(self, x: Tensor) -> Tensor:
        # Fused attention needs rows without gaps.
        return x.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        if self.mode == "dot_product":
            return _products(q, k)
        if self.concat is not None:
            return _sums(q, k, self.concat)
        return softmax_of_keys(q, k, self.scale)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b 1 n m, at least float32; rows of a softmax sum to 1.

        Computed on request: a forward stores them at mode concatenation alone.
        """
        return self._weights(self._tokens(self.theta(x)), self._tokens(self.phi(self.pool(x))))

    def _mixture(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The values mixed by the weights, b 1 n d."""
        if self.mode == "embedded_gaussian":
            return F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        if self.mode == "gaussian":
            return attend_wide(q.squeeze(1), k.squeeze(1), v.squeeze(1), self.scale).unsqueeze(1)
        if self.mode == "dot_product":
            return q @ (k.transpose(2, 3) @ v / k.shape[2])
        return self._weights(q, k).to(v.dtype) @ v

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(x)
        q, k, v = self._tokens(self.theta(x)), self._tokens(self.phi(pooled)), self._tokens(self.g(pooled))
        y = self._mixture(q, k, v).squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.bn(self.proj(y))


def _products(q: Tensor, k: Tensor) -> Tensor:
    """q kᵀ / m: b 1 n d, b 1 m d -> b 1 n m, in float32 or better."""
    with full_precision(q):
        return at_least_float32(q) @ (at_least_float32(k).transpose(2, 3) / k.shape[2])


def _sums(q: Tensor, k: Tensor, weight: Tensor) -> Tensor:
    """relu(u q + v k) / m, for weights u and v: b 1 n d, b 1 m d, 2 d -> b 1 n m, in float32 or better."""
    weight = at_least_float32(weight)
    with full_precision(q):
        rows = at_least_float32(q) @ weight[0].unsqueeze(1)
        columns = at_least_float32(k) @ weight[1].unsqueeze(1)
    return (rows + columns.transpose(2, 3)).relu() / k.shape[2]


# A region without autocast cannot be traced.
torch.fx.wrap("_products")
torch.fx.wrap("_sums")
