"""Lambda: linear maps of a context in place of attention. Bello, LambdaNetworks, ICLR 2021."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import OddInt, PositiveInt, Size
from composer.registry import mechanism

for _name in ("at_least_float32", "in_format_of", "of_built_size"):
    torch.fx.wrap(_name)


@mechanism(
    "lambda",
    kind="token",
    layout="b c h w",
    replaces="conv",
    aliases=("lambda layer", "lambda_layer", "lambdanetworks", "lambda convolution", "lambdaresnet", "λ"),
)
class LambdaLayer(nn.Module):
    """Replace each position by its query's image under a linear map, which its context gives by content and position.

    Shape:   b c h w -> b o h/s w/s
    Math:    y_n = [q_n1 Λ_n; ...; q_nH Λ_n]        Λ_n = β + sum_m (k̄_m + E[m - n])ᵀ v_m,  d × p, one for all heads
             k̄ = softmax_m(K),  q_nh: d,  K: d,  v: p = o / H;  with depth u, each position has u keys and values
    Params:  c m + 2Hd + 2pu + e du + d;  d less without bias;  d less with a global context
             m = Hd + du + pu;  e, the entries of E, is r², or (2h - 1) (2w - 1) with a global context
    MACs:    c m h w + dpu h w + i dpu h w + 2Hdp h w        i = r², or h w with a global context
    Source:  Bello, LambdaNetworks: Modeling Long-Range Interactions Without Attention, ICLR 2021. arXiv:2102.08602
    Departs: the equations have no β; timm's convolution has it. `bias: false` leaves it out.
    Start:   timm's: N(0, 1 / c) projections, N(0, 1 / d) E, or N(0, 0.02²) with a global context, all cut off at -2 and
             2; β as in a convolution of PyTorch. The paper draws E from N(0, 1).

    `context` is r, the side of the surroundings in which E counts, or `global`: E then has an entry for every offset in
    the map, there is no β, and maps of another size raise ValueError. Keys are always those of the whole map.
    `num_heads` is H, `head_dim` is d, `depth` is u. Queries and values pass through a batch norm each. At stride 2 the
    result is averaged over 2 × 2.

    >>> sum(p.numel() for p in LambdaLayer(64, 64, 56, 56, context=9).parameters())
    7616
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        height: int,
        width: int,
        stride: Size = 1,
        *,
        context: OddInt | Literal["global"] = 23,
        num_heads: PositiveInt = 4,
        head_dim: PositiveInt = 16,
        depth: PositiveInt = 1,
        bias: bool = True,
    ):
        super().__init__()
        self.value_dim = dim_of_heads("lambda", out_channels, num_heads)
        self.num_heads, self.head_dim, self.depth = num_heads, head_dim, depth
        self.lengths = (num_heads * head_dim, depth * head_dim, depth * self.value_dim)
        self.qkv = nn.Conv2d(in_channels, sum(self.lengths), 1, bias=False)
        self.norm_q = nn.BatchNorm2d(self.lengths[0])
        self.norm_v = nn.BatchNorm2d(self.lengths[2])
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride not in (1, (1, 1)) else nn.Identity()
        nn.init.trunc_normal_(self.qkv.weight, std=in_channels**-0.5)
        if context == "global":
            self.size = (height, width)
            self.conv_lambda = None
            self.pos_emb = nn.Parameter(torch.empty(2 * height - 1, 2 * width - 1, head_dim * depth))
            nn.init.trunc_normal_(self.pos_emb, std=0.02)
        else:
            self.conv_lambda = nn.Conv2d(depth, head_dim, context, padding=context // 2, bias=bias)
            nn.init.trunc_normal_(self.conv_lambda.weight, std=head_dim**-0.5)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries b heads d n, normalised keys b d u n, and values b p u h w"""
        x = x if self.conv_lambda is not None else of_built_size(x, self.size, "lambda: a global context was")
        q, k, v = self.qkv(x).split(self.lengths, 1)
        q = self.norm_q(q).flatten(2).unflatten(1, (self.num_heads, self.head_dim))
        k = at_least_float32(k.flatten(2)).softmax(2).to(v.dtype).unflatten(1, (self.head_dim, self.depth))
        return q, k, self.norm_v(v).unflatten(1, (self.value_dim, self.depth))

    def _of_positions(self, v: Tensor) -> Tensor:
        """The part of each Λ that follows from where the values are, b p d n"""
        if self.conv_lambda is not None:
            return self.conv_lambda(v.flatten(0, 1)).unflatten(0, (-1, self.value_dim)).flatten(3)
        return torch.einsum("ijduyx,bpuyx->bpdij", self._entries(), v).flatten(3)

    def _entries(self) -> Tensor:
        """E for each pair of positions, h w d u h w"""
        height, width = self.size
        # The first entry is for the offset 1 - height.
        entries = self.pos_emb.unfold(0, height, 1).unfold(1, width, 1).flip(0, 1)
        return entries.unflatten(2, (self.head_dim, self.depth))

    def attention(self, x: Tensor) -> Tensor:
        """The number by which each position (row) takes each value of each position, b (heads u) n n; of any sign.

        Computed on request: a forward never stores them.
        """
        q, k, v = self._parts(x)
        of_content = torch.einsum("bhdn,bdum->bhunm", q, k)
        return (of_content + self._surroundings(q, v.shape[3:])).flatten(1, 2)

    def _surroundings(self, q: Tensor, size: torch.Size) -> Tensor:
        """q E[m - n], b heads u n n; 0 for offsets without an entry."""
        if self.conv_lambda is None:
            return torch.einsum("bhdn,ndum->bhunm", q, self._entries().flatten(0, 1).flatten(3))
        side = self.conv_lambda.kernel_size[0]
        near = torch.einsum("bhdn,dur->bhunr", q, self.conv_lambda.weight.flatten(2))
        rows, columns = (torch.arange(length, device=q.device) for length in size)
        down = rows - rows[:, None] + side // 2
        right = columns - columns[:, None] + side // 2
        inside = [(one >= 0) & (one < side) for one in (down, right)]
        entry = down.clamp(0, side - 1)[:, None, :, None] * side + right.clamp(0, side - 1)[None, :, None, :]
        seen = inside[0][:, None, :, None] & inside[1][None, :, None, :]
        index = entry.flatten(2).flatten(0, 1).expand(*near.shape[:3], -1, -1)
        return near.gather(4, index) * seen.flatten(2).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._parts(x)
        of_content = torch.einsum("bdun,bpun->bdp", k, v.flatten(3))
        y = torch.einsum("bhdn,bdp->bhpn", q, of_content) + torch.einsum("bhdn,bpdn->bhpn", q, self._of_positions(v))
        return in_format_of(x, self.pool(y.flatten(1, 2).unflatten(2, x.shape[2:])))
