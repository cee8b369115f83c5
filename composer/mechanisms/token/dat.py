"""DAT: deformable attention. Xia et al., Vision Transformer with Deformable Attention, CVPR 2022."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.layers.norm import LayerNorm2d
from composer.mechanisms.kernel.bot import attend
from composer.mechanisms.shared.divisors import dim_of_heads, heads_of, nearest_divisors
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of, with_gradient_in_format
from composer.mechanisms.shared.precision import at_least_float32
from composer.mechanisms.token.mhsa import softmax_of_keys
from composer.options import OddInt, PositiveFloat, PositiveInt
from composer.registry import mechanism

for _name in (
    "attend",
    "at_least_float32",
    "in_format_of",
    "of_built_size",
    "softmax_of_keys",
    "with_gradient_in_format",
):
    torch.fx.wrap(_name)


@mechanism(
    "dat",
    kind="token",
    layout="b c h w",
    aliases=(
        *("deformable attention", "deformable self-attention", "DAttentionBaseline", "DAttention", "DMHA"),
        *("vision transformer with deformable attention", "可变形注意力"),
    ),
)
class DeformableAttention(nn.Module):
    """Let each position look at points that the map itself moves to where it pays to look, the same for all positions.

    Shape:   b c h w -> b c h w
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_points(Q_i K_iᵀ / sqrt(p) + B_i),  p = c / H
             Q = W_q x;  K, V = W_k z, W_v z,  z = x at the m points, read bilinearly, in each of G groups of channels
             points: the centres of ceil(h/r) × ceil(w/r) cells, moved by s tanh(D q) / 2 cells, q a group of Q
             D: a depthwise convolution k × k at stride r, LN, gelu, c/G -> 2;  the same for all groups
             B_i: read bilinearly from a table by where the position stands to the point
    Params:  4c² + 4c + (k² + 5) c/g + H (2h - 1) (2w - 1);  4c² + 4c + (k² + 5) c/g without use_pe        g = G
    MACs:    2c² h w + 2c² m + (k² + 2) c m + 2c h w m
    Source:  Xia et al., Vision Transformer with Deformable Attention, CVPR 2022. arXiv:2201.00520, and the authors'
             code of June 2022.
    Departs: nothing. The authors' code of September 2023 (DAT++) measures points and offsets by ceil(h/r) - 1, which is
             0 for a single row.
    Start:   the authors' code: kernels and biases as PyTorch does, U(-b, b) with b = 1 / sqrt(inputs of an output), and
             tables N(0, 0.01²), cut off at -2 and 2.

    Points are told from -1 to 1, which are the middles of the outermost positions, as in the authors' code; beyond them
    the map is 0. `num_heads` is H, by default that of heads of 32 channels, `num_groups` is G, by default one for every
    4 heads. `stride` is r, `kernel_size` is k, `offset_range` is s. With `use_pe`, the table, it fits maps of the built
    size and raises ValueError for others.

    >>> sum(p.numel() for p in DeformableAttention(64, 14, 14).parameters())
    20018
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        num_heads: PositiveInt | None = None,
        num_groups: PositiveInt | None = None,
        stride: PositiveInt = 1,
        kernel_size: OddInt = 5,
        offset_range: PositiveFloat = 2.0,
        use_pe: bool = True,
    ):
        super().__init__()
        heads = num_heads or heads_of(channels, 32)
        dim_of_heads("dat", channels, heads)
        groups = num_groups or (heads // 4 if heads % 4 == 0 else 1)
        if heads % groups:
            text = f"{heads} heads do not divide into {groups} groups"
            raise ValueError(f"dat: {text}; set num_groups to {nearest_divisors(heads, groups)}")
        self.num_heads, self.num_groups, self.size = heads, groups, (height, width)
        self.offset_range = offset_range
        per = channels // groups
        layers = {
            "conv": nn.Conv2d(per, per, kernel_size, stride, kernel_size // 2, groups=per),
            "norm": LayerNorm2d(per),
            "act": nn.GELU(),
            "proj": nn.Conv2d(per, 2, 1, bias=False),
        }
        self.conv_offset = nn.Sequential(OrderedDict(layers))
        self.proj_q, self.proj_k = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.proj_v, self.proj_out = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.rpe_table = nn.Parameter(torch.empty(heads, 2 * height - 1, 2 * width - 1)) if use_pe else None
        if self.rpe_table is not None:
            nn.init.trunc_normal_(self.rpe_table, std=0.01)

    def points(self, x: Tensor) -> Tensor:
        """Where each group looks, column and row from -1 to 1, b groups m 2, at least float32."""
        return self._points(self.proj_q(x))

    def _points(self, q: Tensor) -> Tensor:
        offset = self.conv_offset(q.unflatten(1, (self.num_groups, -1)).flatten(0, 1))
        return moved(at_least_float32(offset), self.offset_range).unflatten(0, (-1, self.num_groups))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Queries b H n p, keys and values b H m p, and what is added to their logits, b H n m."""
        if self.rpe_table is not None:
            x = of_built_size(x, self.size, "dat:")
        q = self.proj_q(x)
        points = self._points(q)
        seen = read(x, points)
        k, v = self.proj_k(seen), self.proj_v(seen)
        q, k, v = (one.flatten(2).unflatten(1, (self.num_heads, -1)).transpose(2, 3) for one in (q, k, v))
        return q, k, v, None if self.rpe_table is None else table_at(self.rpe_table, points, self.size)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of the m points for each position (row), b heads n m, at least float32; rows sum to 1."""
        q, k, _, bias = self._heads(x)
        return softmax_of_keys(q, k, q.shape[3] ** -0.5, bias)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v, bias = self._heads(with_gradient_in_format(x))
        y = F.scaled_dot_product_attention(q, k, v) if bias is None else attend(q, k, v, bias.to(q.dtype))
        y = y.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])
        return in_format_of(x, self.proj_out(y))


def moved(offset: Tensor, reach: float) -> Tensor:
    """Centres of the cells of a map, moved by b 2 h w, its row before its column: b (h w) 2, column before row."""
    height, width = offset.shape[2:]
    rows, columns = (
        (torch.arange(length, device=offset.device, dtype=offset.dtype) + 0.5) * (2 / length) - 1
        for length in (height, width)
    )
    y, x = offset.tanh().unbind(1)
    y, x = rows[:, None] + y * (reach / height), columns + x * (reach / width)
    return torch.stack((x, y), -1).flatten(1, 2)


def read(x: Tensor, points: Tensor) -> Tensor:
    """The map b c h w at the points of groups of its channels, b groups m 2, bilinearly: b c 1 m."""
    groups = at_least_float32(x).unflatten(1, (points.shape[1], -1)).flatten(0, 1)
    seen = F.grid_sample(groups, points.flatten(0, 1).unsqueeze(1), mode="bilinear", align_corners=True)
    return seen.unflatten(0, points.shape[:2]).flatten(1, 2).to(x.dtype)


def table_at(table: Tensor, points: Tensor, size: tuple[int, int]) -> Tensor:
    """The tables of heads, H (2h - 1) (2w - 1), for each position of a map and each point: b H n m.

    In the middle of a table is the number of a point at the position itself.
    """
    rows, columns = (
        (torch.arange(length, device=points.device, dtype=points.dtype) + 0.5) * (2 / length) - 1 for length in size
    )
    positions = torch.stack(torch.broadcast_tensors(columns, rows[:, None]), -1).flatten(0, 1)
    apart = (positions[:, None] - points.unsqueeze(2)) / 2
    groups = table.to(points.dtype).unflatten(0, (points.shape[1], -1))
    # Images side by side, so that the tables are not repeated for each.
    found = F.grid_sample(groups, apart.transpose(0, 1).flatten(1, 2), mode="bilinear", align_corners=True)
    return found.unflatten(2, (-1, positions.shape[0])).permute(2, 0, 1, 3, 4).flatten(1, 2)


# Not traced: the points of a map follow from its size.
for _name in ("moved", "read", "table_at"):
    torch.fx.wrap(_name)
