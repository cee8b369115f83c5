"""AA: attention augmented convolution. Bello et al., Attention Augmented Convolutional Networks, ICCV 2019."""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from composer.arithmetic import pair, same_padding
from composer.mechanisms.kernel.bot import relative_logits, side_by_side, weights_of_keys
from composer.mechanisms.shared.map_size import of_built_size
from composer.mechanisms.shared.memory_format import in_format_of
from composer.options import Padding, PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("in_format_of")
torch.fx.wrap("of_built_size")
torch.fx.wrap("side_by_side")
torch.fx.wrap("weights_of_keys")

Share = Annotated[float, Field(gt=0, lt=1)]


@mechanism(
    "aa_conv",
    kind="token",
    layout="b c h w",
    replaces="conv",
    aliases=("attention augmented convolution", "aa-conv", "aacn", "attention-augmented-conv2d", "augmentedconv"),
)
class AttentionAugmentedConv(nn.Module):
    """Give some of a convolution's outputs to attention over all positions, by content and by relative row and column.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w
    Math:    y = [conv(x); W A V]        A = softmax_keys(q (k + r)ᵀ / sqrt(p)),  r = row[i' - i] + column[j' - j]
             in each of H heads;  conv: c -> o - v,  Q, K: c -> q,  V: c -> v,  W: v -> v,  p = q / H
    Params:  k² c (o - v) / g + c (2q + v) + 2q + v + v² + v + (2h - 1 + 2w - 1) p;  o - v more with bias
    MACs:    k² c (o - v) h' w' / g + (c (2q + v) + v²) h w + 2m (h w)² H + q h w (h + w)        m = max(p, v / H)
    Source:  Bello et al., Attention Augmented Convolutional Networks, ICCV 2019. arXiv:1904.09925
    Departs: at a stride the result of the attention is averaged over that many positions, as in BoT; the paper's code
             has no stride. The tables of positions are trained; copies draw them anew at each forward.
    Start:   kernels and biases as PyTorch does, U(-b, b) with b = 1 / sqrt(inputs), and N(0, 1 / p) tables; the paper
             states no more than that the tables are normal.

    Q, K, V and W have biases, as in the paper's code. `keys` and `values` are the shares q / o and v / o, rounded down
    to multiples of H; a head has at least `min_head_dim` keys, as in the paper's ResNets, and one value. Groups g of
    the convolution that do not divide c and o - v become their largest common divisor with both. `num_heads` is H. The
    tables fit maps of the built size; it raises ValueError for others.

    >>> sum(p.numel() for p in AttentionAugmentedConv(64, 64, 7, 7).parameters())
    54168
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        height: int,
        width: int,
        kernel_size: Size = 3,
        stride: Size = 1,
        padding: Padding | None = None,
        dilation: Size = 1,
        groups: PositiveInt = 1,
        bias: bool = False,
        *,
        num_heads: PositiveInt = 8,
        keys: Share = 0.2,
        values: Share = 0.1,
        min_head_dim: PositiveInt = 20,
    ):
        super().__init__()
        padding = same_padding(kernel_size, dilation) if padding is None else padding
        self.num_heads, self.size = num_heads, (height, width)
        self.head_dim = max(min_head_dim, int(keys * out_channels) // num_heads)
        queries, mixed = num_heads * self.head_dim, num_heads * max(1, int(values * out_channels) // num_heads)
        if mixed >= out_channels:
            text = f"{num_heads} heads give {mixed} of {out_channels} outputs, and leave none to the convolution"
            raise ValueError(f"aa_conv: {text}; set num_heads to {max(1, out_channels // 2)} or less")
        self.widths = (queries, queries, mixed)
        self.conv = nn.Conv2d(
            in_channels,
            out_channels - mixed,
            kernel_size,
            stride,
            padding=padding,
            dilation=dilation,
            groups=math.gcd(groups, in_channels, out_channels - mixed),
            bias=bias,
        )
        reach = zip(self.size, pair(padding), pair(dilation), pair(kernel_size), pair(stride), strict=True)
        own = [(length + 2 * pad - apart * (k - 1) - 1) // step + 1 for length, pad, apart, k, step in reach]
        averaged = [-(-length // step) for length, step in zip(self.size, pair(stride), strict=True)]
        if own != averaged:
            text = f"the convolution gives {own[0]}×{own[1]}, attention {averaged[0]}×{averaged[1]}"
            raise ValueError(f"aa_conv: {text}; replace a convolution whose padding keeps its rows and columns")
        self.qkv = nn.Conv2d(in_channels, 2 * queries + mixed, 1)
        self.proj = nn.Conv2d(mixed, mixed, 1)
        self.row = nn.Parameter(torch.randn(2 * height - 1, self.head_dim) * self.head_dim**-0.5)
        self.column = nn.Parameter(torch.randn(2 * width - 1, self.head_dim) * self.head_dim**-0.5)
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride not in (1, (1, 1)) else nn.Identity()

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        qkv = self.qkv(of_built_size(x, self.size, "aa_conv:")).flatten(2).split(self.widths, 1)
        q, k, v = (side_by_side(qkv[index].unflatten(1, (self.num_heads, -1)).transpose(2, 3)) for index in range(3))
        return q, k, v

    def attention(self, x: Tensor) -> Tensor:
        """The weights of all positions for each position (row), b heads n n, at least float32; rows sum to 1."""
        q, k, _ = self._heads(x)
        return weights_of_keys(q, k, relative_logits(q, self.row, self.column, self.size))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        y = _attend(q, k, v, relative_logits(q, self.row, self.column, self.size).to(q.dtype))
        y = self.pool(self.proj(in_format_of(x, y.transpose(2, 3).flatten(1, 2).unflatten(2, self.size))))
        return torch.cat([self.conv(x), y], 1)


def _attend(q: Tensor, k: Tensor, v: Tensor, positions: Tensor) -> Tensor:
    """The values mixed by `weights_of_keys`: b heads n p, b heads n v, b heads n n -> b heads n v."""
    if torch.onnx.is_in_onnx_export():
        # ONNX export decomposes fused attention with a mask into a result with other strides than traced.
        return weights_of_keys(q, k, positions).to(v.dtype) @ v
    # Fused kernels take one width for all three.
    common = max(q.shape[3], v.shape[3])
    query, key, value = (F.pad(one, (0, common - one.shape[3])) for one in (q, k, v))
    y = F.scaled_dot_product_attention(query, key, value, attn_mask=positions, scale=q.shape[3] ** -0.5)
    return y[..., : v.shape[3]]


# Not traced: it looks at the exporter and at widths.
torch.fx.wrap("_attend")
