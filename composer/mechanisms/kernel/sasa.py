"""SASA: stand-alone self-attention. Ramachandran et al., Stand-Alone Self-Attention in Vision Models, NeurIPS 2019."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.kernel.sk import weighted_sum
from composer.mechanisms.shared.divisors import dim_of_heads, nearest_divisors
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32, full_precision
from composer.options import OddInt, PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("in_format_of")
torch.fx.wrap("weighted_sum")


@mechanism(
    "sasa",
    kind="token",
    layout="b c h w",
    replaces="conv",
    aliases=("stand-alone self-attention", "local self-attention"),
)
class StandAloneSelfAttention(nn.Module):
    """Replace each position by a mixture of its surroundings, weighted by content and by relative row and column.

    Shape:   b c h w -> b o h/s w/s
    Math:    y_ij = sum_ab A_ab v_ab        over the k × k window around ij, in each head
             A = softmax_ab(q_ijᵀ (k_ab + [row[a - i]; column[b - j]]))
    Params:  3co + ko
    MACs:    3co h w + ko h w
    Source:  Ramachandran et al., Stand-Alone Self-Attention in Vision Models, NeurIPS 2019, eq. 3. arXiv:1906.05909
    Departs: queries, keys and values see all channels; in the paper, only those of their head. Outside the map keys and
             values are 0 but still take part, as in the padding of a convolution.
    Start:   N(0, 2 / 3o) projections (He et al., by outputs) and N(0, 1) offsets; the paper does not state it.

    At stride 2 the result is averaged over 2 × 2, as in the paper. Half of a head's offset is for the row, the other
    half for the column. `MACs` counts matrix products only; the windows cost 2 k² o h w more. `window` is k.

    >>> sum(p.numel() for p in StandAloneSelfAttention(64, 64, 7, 7).parameters())
    12736
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        height: int,
        width: int,
        stride: Size = 1,
        *,
        window: OddInt = 7,
        num_heads: PositiveInt = 8,
    ):
        super().__init__()
        head_dim = dim_of_heads("sasa", out_channels, num_heads)
        if head_dim % 2:
            raise ValueError(f"sasa: heads of {head_dim} channels have no halves; {_even(out_channels, num_heads)}")
        smallest = min(height, width)
        if window > smallest:
            fits = smallest if smallest % 2 else smallest - 1
            raise ValueError(f"sasa: window={window} is larger than the map {height}×{width}; use {fits} or less")
        self.num_heads, self.head_dim, self.window = num_heads, head_dim, window
        self.qkv = nn.Conv2d(in_channels, 3 * out_channels, 1, bias=False)
        self.row = nn.Parameter(torch.randn(window, num_heads, head_dim // 2))
        self.column = nn.Parameter(torch.randn(window, num_heads, head_dim // 2))
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride not in (1, (1, 1)) else nn.Identity()
        nn.init.kaiming_normal_(self.qkv.weight, mode="fan_out", nonlinearity="relu")

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.qkv(x).unflatten(1, (3, self.num_heads, self.head_dim)).unbind(1)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of a position's window, b heads h w k², at least float32; the last axis sums to 1."""
        q, k, _ = self._heads(x)
        return weights_in_windows(q, k, self.row, self.column)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        weights = weights_in_windows(q, k, self.row, self.column).to(v.dtype).unsqueeze(2).unbind(-1)
        y = weighted_sum(weights, windows(v, self.window)).flatten(1, 2)
        return in_format_of(x, self.pool(y))


def windows(x: Tensor, side: int) -> list[Tensor]:
    """A map b m p h w shifted to each place of a window: side² views of a single padded copy."""
    reach = side // 2
    height, width = x.shape[3:]
    padded = F.pad(x, (reach, reach, reach, reach))
    shifts = [(a, b) for a in range(side) for b in range(side)]
    return [padded[..., a : a + height, b : b + width] for a, b in shifts]


def weights_in_windows(q: Tensor, k: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """softmax(q (k + offset)) over the window of each position: b m p h w -> b m h w k², in float32 or better."""
    q, k = at_least_float32(q), at_least_float32(k)
    content = torch.stack([(q * near).sum(2) for near in windows(k, len(row))], -1)
    upper, lower = q.chunk(2, 2)
    with full_precision(q):
        rows = torch.einsum("bmphw,amp->bmhwa", upper, row.to(q.dtype))
        columns = torch.einsum("bmphw,amp->bmhwa", lower, column.to(q.dtype))
    place = rows.unsqueeze(-1) + columns.unsqueeze(-2)
    return (content + place.flatten(-2)).softmax(-1)


torch.fx.wrap("windows")
torch.fx.wrap("weights_in_windows")


def _even(channels: int, num_heads: int) -> str:
    if channels % 2:
        return f"{channels} channels never do, replace a convolution with an even number of outputs"
    return f"set num_heads to {nearest_divisors(channels // 2, num_heads)}"
