"""ReLU linear attention, on several scales. Cai et al., EfficientViT, ICCV 2023."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.conv_norm import conv_norm
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.options import OddInt, PositiveFloat, PositiveInt
from composer.registry import mechanism


@mechanism(
    "relu_linear",
    kind="token",
    layout="b c h w",
    aliases=(
        *("litemla", "lite mla", "relu linear attention", "linear attention", "multi-scale linear attention"),
        *("efficientvit", "线性注意力"),
    ),
)
class ReLULinearAttention(nn.Module):
    """Replace each position by a mixture of all positions, at a cost that grows with their number, not its square.

    Shape:   b c h w -> b c h w
    Math:    y = BN(W_o [O_1; ...; O_(S+1)H])        O_i = relu(Q_i) (relu(K_i)ᵀ V_i) / (relu(Q_i) relu(K_i)ᵀ 1 + ε)
             the first H heads of d channels are of W x, H more per scale s of conv_1×1(conv_s×s(W x)), which mix
             channels only within a head's queries, keys or values
    Params:  3ct + 3te + 3tdS + tcm + 2c        t = Hd, m = S + 1, e the sum of all s²
    MACs:    (3ct + 3te + 3tdS + tcm + 2tm (d + 1)) h w
    Source:  Cai et al., EfficientViT: Lightweight Multi-Scale Attention for High-Resolution Dense Prediction, ICCV
             2023. arXiv:2205.14756
    Departs: ε is timm's 1e-5; the authors' code has 1e-15. Products are in float32, where half precision overflows.
    Start:   the authors' code, which leaves PyTorch's own.

    `head_dim` is d; H = c / d, rounded down, and at least 1. `scales` lists every s, S of them. It takes maps of any
    size. In training it needs a batch of at least 2 where the map is a single position.

    >>> sum(p.numel() for p in ReLULinearAttention(64).parameters())
    26944
    """

    def __init__(
        self,
        channels: int,
        *,
        head_dim: PositiveInt = 8,
        scales: tuple[OddInt, ...] = (5,),
        eps: PositiveFloat = 1e-5,
    ):
        super().__init__()
        num_heads = max(1, channels // head_dim)
        self.head_dim, self.eps = head_dim, eps
        total = num_heads * head_dim
        self.qkv = nn.Conv2d(channels, 3 * total, 1, bias=False)
        self.aggreg = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(3 * total, 3 * total, side, padding=side // 2, groups=3 * total, bias=False),
                nn.Conv2d(3 * total, 3 * total, 1, groups=3 * num_heads, bias=False),
            )
            for side in scales
        )
        self.proj = conv_norm(total * (1 + len(scales)), channels)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positive queries and keys, and values: b heads d n each, scale after scale."""
        qkv = self.qkv(x)
        every = torch.cat([qkv, *(scale(qkv) for scale in self.aggreg)], 1)
        q, k, v = every.flatten(2).unflatten(1, (-1, 3, self.head_dim)).unbind(2)
        return F.relu(q), F.relu(k), v

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b heads n n, at least float32; rows sum nearly to 1.

        Computed on request: a forward never has them.
        """
        q, k, _ = self._heads(x)
        return weights_of(q, k, self.eps)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        y = mixed(q, k, v, self.eps).flatten(1, 2).unflatten(2, x.shape[2:])
        return in_format_of(x, self.proj(y))


def mixed(q: Tensor, k: Tensor, v: Tensor, eps: float) -> Tensor:
    """v (kᵀ q), by the sum of the weights: b heads d n each, computed in float32 or better."""
    with full_precision(q):
        precise_q, precise_k, values = (at_least_float32(one) for one in (q, k, F.pad(v, (0, 0, 0, 1), value=1.0)))
        y = values @ precise_k.transpose(2, 3) @ precise_q
    return (y[:, :, :-1] / (y[:, :, -1:] + eps)).to(v.dtype)


def weights_of(q: Tensor, k: Tensor, eps: float) -> Tensor:
    """qᵀ k, by the sum over keys: b heads n n."""
    with full_precision(q):
        products = at_least_float32(q).transpose(2, 3) @ at_least_float32(k)
    return products / (products.sum(3, keepdim=True) + eps)


for _name in ("in_format_of", "mixed", "weights_of"):
    torch.fx.wrap(_name)
