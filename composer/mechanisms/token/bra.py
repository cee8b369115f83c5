"""BRA: bi-level routing attention. Zhu et al., BiFormer, CVPR 2023."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.options import OddInt, PositiveInt
from composer.registry import mechanism


@mechanism(
    "bra",
    kind="token",
    layout="b c h w",
    aliases=(
        *("biformer", "bi-level routing attention", "bilevel routing attention", "biformerblock"),
        *("dynamic sparse attention", "双层路由注意力"),
    ),
)
class BiLevelRoutingAttention(nn.Module):
    """Replace each position by a mixture of the positions of a few regions, which its own region chooses by means.

    Shape:   b c h w -> b c h w
    Math:    y = W_o (A_1 V_1; ...; A_H V_H + conv_l×l(V))        A_i = softmax_keys(Q_i K_iᵀ / sqrt(c))
             keys and values of the k regions s with the largest mean_r(Q)ᵀ mean_s(K), for all queries of a region r
    Params:  4c² + c l² + 5c
    MACs:    4c² h w + c l² h w + c r² + 2c k r m²        r = n_win² regions of m positions, k = topk
    Source:  Zhu et al., BiFormer: Vision Transformer with Bi-Level Routing Attention, CVPR 2023. arXiv:2303.08810
    Departs: nothing where regions divide the map. Elsewhere the authors' `auto_pad` lets positions see the padding and
             counts it in the means; here it has no part in either. The code divides by sqrt(c), the paper by a head's.
    Start:   the authors' code: N(0, 0.02²) linear maps, cut off at -2 and 2, with zero biases; the convolution as
             PyTorch does.

    `n_win` × `n_win` regions cover the map; `topk` of them are looked at, and their choice has no gradient. `num_heads`
    is H; `side_dwconv` is l, 5 in the authors' networks. It fits maps of the built size alone, else ValueError.

    >>> sum(p.numel() for p in BiLevelRoutingAttention(64, 14, 14).parameters())
    17280
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        n_win: PositiveInt = 7,
        topk: PositiveInt = 4,
        num_heads: PositiveInt = 8,
        side_dwconv: OddInt = 3,
    ):
        super().__init__()
        dim_of_heads("bra", channels, num_heads)
        if topk > n_win**2:
            raise ValueError(f"bra: topk={topk} is more than the {n_win**2} regions; set topk to {n_win**2} or less")
        self.num_heads, self.topk, self.scale = num_heads, topk, channels**-0.5
        self.size, self.regions = (height, width), n_win
        self.sides = (math.ceil(height / n_win), math.ceil(width / n_win))
        self.is_padded = self.sides != (height / n_win, width / n_win)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.lepe = nn.Conv2d(channels, channels, side_dwconv, padding=side_dwconv // 2, groups=channels)
        self.wo = nn.Linear(channels, channels)
        for layer in (self.qkv, self.wo):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def _in_regions(self, x: Tensor) -> Tensor:
        """b h w c -> b r m c, padded with zeros below and at the right"""
        down, right = (side * self.regions - length for side, length in zip(self.sides, self.size, strict=True))
        x = F.pad(x, (0, 0, 0, right, 0, down))
        grid = x.unflatten(2, (self.regions, self.sides[1])).unflatten(1, (self.regions, self.sides[0]))
        return grid.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def _map(self, y: Tensor) -> Tensor:
        """b r m c -> b h w c, without padding"""
        grid = y.unflatten(2, self.sides).unflatten(1, (self.regions, self.regions)).transpose(2, 3)
        height, width = self.size
        return grid.flatten(3, 4).flatten(1, 2)[:, :height, :width]

    def _inside(self, x: Tensor) -> Tensor:
        """1 for positions of the map and 0 for padding, r m"""
        return self._in_regions(torch.ones(1, *self.size, 1, device=x.device))[0, :, :, 0]

    def _chosen(self, q: Tensor, k: Tensor, inside: Tensor) -> Tensor:
        """The numbers of the regions that each region looks at, b r k, from queries and keys b r m c."""
        count = inside.sum(1, keepdim=True)
        own, others = (at_least_float32(one.detach()).sum(2) / count.clamp(min=1) for one in (q, k))
        # A region of padding alone comes last.
        return products(own, others).masked_fill(count.T == 0, float("-inf")).topk(self.topk, -1).indices

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor]:
        """Queries (b r) H m p, keys and values (b r) H (k m) p, values b c h w, a mask (b r) 1 1 (k m), and b r k."""
        x = of_built_size(x, self.size, "bra:")
        q, k, v = self.qkv(x.permute(0, 2, 3, 1)).chunk(3, -1)
        maps = v.permute(0, 3, 1, 2)
        q, k, v = (self._in_regions(one) for one in (q, k, v))
        inside = self._inside(x)
        chosen = self._chosen(q, k, inside)
        # All numbers of a region are one row, so that none is copied for regions that do not look at it.
        rows = torch.cat([k, v], -1).flatten(2)
        seen = rows.gather(1, chosen.flatten(1)[:, :, None].expand(-1, -1, rows.shape[2]))
        seen = seen.unflatten(2, (-1, 2 * q.shape[3])).unflatten(1, chosen.shape[1:]).flatten(2, 3)
        k, v = seen.chunk(2, -1)
        q, k, v = (one.flatten(0, 1).unflatten(2, (self.num_heads, -1)).transpose(1, 2) for one in (q, k, v))
        mask = inside.log().to(q.dtype)[chosen].flatten(2).flatten(0, 1)[:, None, None] if self.is_padded else None
        return q, k, v, maps, mask, chosen

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b H n n, at least float32; rows sum to 1.

        Computed on request: a forward only has those of the regions that are looked at.
        """
        q, k, _, _, mask, chosen = self._heads(x)
        logits = products(at_least_float32(q) * self.scale, at_least_float32(k))
        weights = (logits if mask is None else logits + mask).softmax(-1)
        weights = weights.unflatten(0, chosen.shape[:2]).unflatten(4, (self.topk, -1)).movedim(2, 1)
        index = chosen[:, None, :, None, :, None].expand(weights.shape)
        whole = weights.new_zeros(*weights.shape[:4], self.regions**2, weights.shape[5]).scatter(4, index, weights)
        # Rows and then columns from regions to the map.
        rows = self._map(whole.flatten(4).flatten(0, 1)).flatten(1, 2)
        columns = self._map(rows.unflatten(2, whole.shape[4:]).flatten(0, 1)[..., None])
        return columns.flatten(1).unflatten(0, (-1, self.num_heads, rows.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v, maps, mask, _ = self._heads(x)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=self.scale)
        y = self._map(y.transpose(1, 2).flatten(2).unflatten(0, (-1, self.regions**2)))
        return in_format_of(x, self.wo(y + self.lepe(maps).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def products(q: Tensor, k: Tensor) -> Tensor:
    """q kᵀ, without autocast."""
    with full_precision(q):
        return q @ k.transpose(-2, -1)


for _name in ("at_least_float32", "in_format_of", "of_built_size", "products"):
    torch.fx.wrap(_name)
