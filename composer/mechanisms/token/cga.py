"""CGA: cascaded group attention. Liu et al., EfficientViT, CVPR 2023."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.attention import attended_in_full, is_bfloat16
from composer.layers.offsets import ByOffset
from composer.mechanisms.kernel.bot import attend, weights_of_keys
from composer.mechanisms.shared.conv_norm import conv_norm
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.options import OddInt, PositiveInt
from composer.registry import mechanism


@mechanism(
    "cga",
    kind="token",
    layout="b c h w",
    aliases=(
        *("cascaded group attention", "cascadedgroupattention", "efficientvit msra", "efficientvit-m"),
        "级联分组注意力",
    ),
)
class CascadedGroupAttention(nn.Module):
    """Mix all positions head after head, each on channels of its own to which the mixture of the head before is added.

    Shape:   b c h w -> b c h w
    Math:    y = BN(W_o relu([O_1; ...; O_H]))        O_i = A_i V_i,  A_i = softmax_keys(conv(Q_i) K_iᵀ / sqrt(d) + B_i)
             Q_i, K_i: p -> d and V_i: p -> p, each with BN, of the channels i of x plus O_(i-1),  p = c / H
             B_i is learnt, a number per distance in rows and in columns
    Params:  c² + c (2d + p) + Hd (k² + 6) + 4c + H h w
    MACs:    (c² + c (2d + p) + Hd k²) h w + (Hd + c) (h w)²
    Source:  Liu et al., EfficientViT: Memory Efficient Vision Transformer with Cascaded Group Attention, CVPR 2023.
             arXiv:2305.07027
    Departs: the authors' last norm starts at 0, so that a block starts as its shortcut; here it starts at 1, as the
             mechanism has no shortcut of its own: `start: identity` gives it one.
    Start:   as the authors' code but for that norm, which leaves PyTorch's own; B at 0.

    `num_heads` is H, `head_dim` is d, for queries and keys. The depthwise convolution of queries is k × k; `kernels` is
    k, or one for each head. It fits maps of the built size and raises ValueError for others. In training it needs a
    batch of at least 2 where the map is a single position.

    >>> sum(p.numel() for p in CascadedGroupAttention(64, 14, 14).parameters())
    10192
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        num_heads: PositiveInt = 4,
        head_dim: PositiveInt = 16,
        kernels: OddInt | tuple[OddInt, ...] = 5,
    ):
        super().__init__()
        dim = dim_of_heads("cga", channels, num_heads)
        sides = (kernels,) * num_heads if isinstance(kernels, int) else kernels
        if len(sides) != num_heads:
            raise ValueError(f"cga: {len(sides)} kernels for {num_heads} heads; set kernels to one, or one per head")
        self.size, self.head_dim = (height, width), head_dim
        self.qkvs = nn.ModuleList(conv_norm(dim, 2 * head_dim + dim) for _ in sides)
        self.dws = nn.ModuleList(conv_norm(head_dim, head_dim, side, groups=head_dim) for side in sides)
        self.proj = nn.Sequential(nn.ReLU(), conv_norm(channels, channels))
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, height * width))
        self.spread = ByOffset(window=self.size, signed=False, dim=1)

    @fused(attended_in_full, where=is_bfloat16, in_inference=True)
    def _attended(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        return attend(q, k, v, bias)

    def _mixed(self, x: Tensor, weights: list[Tensor] | None = None) -> list[Tensor]:
        """What each head mixes, b n p; the weights of each, b 1 n n, are added to a list, if given."""
        parts = of_built_size(x, self.size, "cga:").chunk(len(self.qkvs), 1)
        biases = self.spread(self.attention_biases)
        found: list[Tensor] = []
        for number, (qkv, dw) in enumerate(zip(self.qkvs, self.dws, strict=True)):
            own = parts[number] if not found else parts[number] + _as_map(found[-1], self.size)
            every = qkv(own)
            q = _as_head(dw(every[:, : self.head_dim]))
            k, v = (_as_head(one) for one in _rest(every, self.head_dim))
            if weights is not None:
                weights.append(weights_of_keys(q, k, biases[number]))
            found.append(self._attended(q, k, v, biases[number].to(q.dtype)).squeeze(1))
        return found

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b heads n n, at least float32; rows sum to 1."""
        weights: list[Tensor] = []
        self._mixed(x, weights)
        return torch.cat(weights, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat(self._mixed(x), 2)
        return in_format_of(x, self.proj(_as_map(y, self.size)))


def _as_head(x: Tensor) -> Tensor:
    """b p h w -> b 1 n p"""
    return x.flatten(2).transpose(1, 2).unsqueeze(1)


def _as_map(x: Tensor, size: tuple[int, int]) -> Tensor:
    """b n c -> b c h w"""
    return x.transpose(1, 2).unflatten(2, size)


def _rest(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Keys and values, behind as many queries as keys."""
    return x[:, dim : 2 * dim], x[:, 2 * dim :]


for _name in ("attend", "in_format_of", "of_built_size", "weights_of_keys"):
    torch.fx.wrap(_name)
