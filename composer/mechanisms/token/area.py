"""Area attention. Tian et al., YOLOv12, 2025."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.conv_norm import conv_norm
from composer.mechanisms.shared.divisors import dim_of_heads, heads_of
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.token.mhsa import softmax_of_keys
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "area",
    kind="token",
    layout="b c h w",
    aliases=("area attention", "aattn", "a2c2f", "ablock", "yolov12", "区域注意力"),
)
class AreaAttention(nn.Module):
    """Replace each position by a mixture of the positions of its area, one of a few that share the map out in rows.

    Shape:   b c h w -> b c h w
    Math:    y = BN(W_o ([A_1 V_1; ...; A_H V_H] + BN(conv_5×5(V))))        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p))
             within an area of n / a positions in running order;  Q, K, V = BN(W x),  p = c / H
    Params:  4c² + 35c
    MACs:    4c² h w + 25c h w + 2c n m        areas of m positions, n = a m: h w, or the next multiple of a
    Source:  Tian et al., YOLOv12: Attention-Centric Real-Time Object Detectors, 2025. arXiv:2502.12524
    Departs: norms have PyTorch's eps and momentum, where the authors' networks set 1e-3 and 0.03. Ultralytics' AAttn is
             another operator, with one projection for q, k, v and a 7 × 7 convolution (20,160 parameters at 64
             channels); the authors advise against it.
    Start:   the authors' code: N(0, 0.02²) convolutions, cut off at -2 and 2; norms as PyTorch does.

    `areas` is a, 1 for the whole map. Where they do not divide h w, the last ones have fewer positions, and maps of
    another size than the built one raise ValueError; else any size will do that they divide. `num_heads` is H, by
    default so that a head has 32 channels, or more where 32 does not divide them. In training it needs a batch of at
    least 2 where the map is a single position.

    >>> sum(p.numel() for p in AreaAttention(64, 14, 14).parameters())
    18624
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        areas: PositiveInt = 4,
        num_heads: PositiveInt | None = None,
    ):
        super().__init__()
        self.num_heads = heads_of(channels, 32) if num_heads is None else num_heads
        dim_of_heads("area", channels, self.num_heads)
        self.areas, self.size = areas, (height, width)
        # Positions that the last areas lack.
        self.lacking = -height * width % areas
        self.qk = conv_norm(channels, 2 * channels)
        self.v = conv_norm(channels, channels)
        self.proj = conv_norm(channels, channels)
        self.pe = conv_norm(channels, channels, 5, groups=channels)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.trunc_normal_(layer.weight, std=0.02)

    def _in_areas(self, x: Tensor) -> Tensor:
        """b c h w -> b (a H) m p"""
        tokens = F.pad(x.flatten(2), (0, self.lacking)) if self.lacking else x.flatten(2)
        # Each head of each area becomes a head of a single attention.
        areas = tokens.unflatten(2, (self.areas, -1)).unflatten(1, (self.num_heads, -1))
        return areas.permute(0, 3, 1, 4, 2).flatten(1, 2)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = of_built_size(x, self.size, "area:") if self.lacking else divided(x, self.areas)
        q, k = self.qk(x).chunk(2, 1)
        return self._in_areas(q), self._in_areas(k), self.v(x)

    def _mask(self, q: Tensor) -> Tensor | None:
        """0 for pairs of positions, or of what the last areas lack; -inf for other pairs: 1 (a H) m m."""
        if not self.lacking:
            return None
        height, width = self.size
        lacks = torch.arange(height * width + self.lacking, device=q.device).unflatten(0, (self.areas, -1))
        lacks = lacks >= height * width
        apart = lacks[:, :, None] != lacks[:, None, :]
        mask = torch.zeros(apart.shape, dtype=q.dtype, device=q.device).masked_fill(apart, float("-inf"))
        return mask.repeat_interleave(self.num_heads, 0)[None]

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b H n n, at least float32; rows sum to 1.

        Computed on request: a forward only has those within areas.
        """
        q, k, _ = self._heads(x)
        weights = softmax_of_keys(q, k, q.shape[-1] ** -0.5, self._mask(q))
        weights = weights.unflatten(1, (self.areas, self.num_heads)).movedim(1, -1)
        whole = torch.diag_embed(weights).permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)
        positions = whole.shape[2] - self.lacking
        return whole[:, :, :positions, :positions]

    def forward(self, x: Tensor) -> Tensor:
        q, k, maps = self._heads(x)
        y = F.scaled_dot_product_attention(q, k, self._in_areas(maps), attn_mask=self._mask(q))
        y = y.unflatten(1, (self.areas, self.num_heads)).permute(0, 2, 4, 1, 3).flatten(3).flatten(1, 2)
        y = y[:, :, : y.shape[2] - self.lacking].unflatten(2, x.shape[2:])
        return in_format_of(x, self.proj(y + self.pe(maps)))


def divided(x: Tensor, areas: int) -> Tensor:
    """The map b c h w, unchanged. Raises ValueError if its positions do not divide into areas."""
    height, width = x.shape[2:]
    if height * width % areas:
        text = f"{height}×{width} positions do not divide into {areas} areas"
        raise ValueError(f"area: {text}; build it for that size, or set areas to a divisor")
    return x


for _name in ("divided", "in_format_of", "of_built_size", "softmax_of_keys"):
    torch.fx.wrap(_name)
