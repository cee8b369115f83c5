"""PSA: partial self-attention. Wang et al., YOLOv10, NeurIPS 2024."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.conv_norm import conv_norm
from composer.mechanisms.shared.divisors import dim_of_heads, heads_of
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.token.mhsa import softmax_of_keys
from composer.options import PositiveInt
from composer.registry import mechanism

for _name in ("in_format_of", "softmax_of_keys"):
    torch.fx.wrap(_name)


@mechanism(
    "psa",
    kind="token",
    layout="b c h w",
    aliases=(
        *("partial self-attention", "partial self attention", "position-sensitive attention", "c2psa", "psablock"),
        *("yolov10", "yolo11", "部分自注意力"),
    ),
)
class PartialSelfAttention(nn.Module):
    """Let half of the channels pass, mix all positions in the other half by attention and an MLP, and join them.

    Shape:   b c h w -> b c h w
    Math:    y = σ(BN(W_2 [a; z + M(z)]))        z = b + BN(W_o ([A_1 V_1; ...; A_H V_H] + BN(conv_3×3(V))))
             [a; b] = σ(BN(W_1 x)),  A_i = softmax_keys(Q_i K_iᵀ / sqrt(p/2)),  Q_i, K_i: p/2,  V_i: p,  p = c / 2H
             M(z) = BN(W_4 σ(BN(W_3 z))),  W_3: c/2 -> c,  σ = SiLU
    Params:  15c² / 4 + 31c / 2        with an even p
    MACs:    (15c² / 4 + 9c / 2) h w + 3c (h w)² / 4
    Source:  Wang et al., YOLOv10: Real-Time End-to-End Object Detection, NeurIPS 2024. arXiv:2405.14458
    Departs: norms have PyTorch's eps and momentum, where the authors' networks set 1e-3 and 0.03. The authors have
             c / 128 heads: below 128 channels none, and a division by zero.
    Start:   the authors' code, which leaves PyTorch's own.

    `num_heads` is H, by default c / 128, or the next number below that divides c / 2, and at least 1. YOLO11's C2PSA is
    this with several blocks in a row. In training it needs a batch of at least 2 where the map is a single position.

    >>> sum(p.numel() for p in PartialSelfAttention(64).parameters())
    16352
    """

    def __init__(self, channels: int, *, num_heads: PositiveInt | None = None):
        super().__init__()
        if channels % 2:
            raise ValueError(f"psa: {channels} channels have no halves; put it where their number is even")
        half = channels // 2
        heads = heads_of(half, 64) if num_heads is None else num_heads
        if dim_of_heads("psa", half, heads) < 2:
            raise ValueError(f"psa: heads of 1 channel have no keys; set num_heads to {half // 2} or less")
        self.cv1 = conv_norm(channels, channels, act=True)
        self.cv2 = conv_norm(channels, channels, act=True)
        self.attn = _Attention(half, heads)
        self.ffn = nn.Sequential(conv_norm(half, channels, act=True), conv_norm(channels, half))

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b H n n, at least float32; rows sum to 1.

        A fused forward never stores them.
        """
        q, k, _ = self.attn.heads(self.cv1(x).chunk(2, 1)[1])
        return softmax_of_keys(q, k, self.attn.scale)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.cv1(x).chunk(2, 1)
        z = b + self.attn(b)
        z = z + self.ffn(z)
        return in_format_of(x, self.cv2(torch.cat([a, z], 1)))


class _Attention(nn.Module):
    """Multi-head attention of a map's positions, with keys half as long as values, and a convolution of the values."""

    def __init__(self, channels: int, num_heads: int):
        super().__init__()
        dim = channels // num_heads
        self.num_heads, self.lengths, self.scale = num_heads, (dim // 2, dim // 2, dim), (dim // 2) ** -0.5
        self.qkv = conv_norm(channels, num_heads * sum(self.lengths))
        self.proj = conv_norm(channels, channels)
        self.pe = conv_norm(channels, channels, 3, groups=channels)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys b heads n p/2, and values b heads n p."""
        tokens = self.qkv(x).flatten(2).unflatten(1, (self.num_heads, -1)).transpose(2, 3)
        q, k, v = tokens.split(self.lengths, 3)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.heads(x)
        y = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        maps, y = (one.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:]) for one in (v, y))
        return self.proj(y + self.pe(maps))
