"""ACmix: self-attention and convolution from the same projections. Pan et al., CVPR 2022."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.arithmetic import pair
from composer.mechanisms.shared.divisors import dim_of_heads
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import OddInt, PositiveInt, Size
from composer.registry import mechanism

Pair = tuple[int, int]


@mechanism(
    "acmix",
    kind="token",
    layout="b c h w",
    replaces="conv",
    aliases=("ac-mix", "integration of self-attention and convolution", "自注意力与卷积融合"),
)
class ACmix(nn.Module):
    """Use three projections twice: for attention to the surroundings of a position, and for a convolution.

    Shape:   b c h w -> b o h/s w/s
    Math:    y = alpha A V + beta conv_l(W [Q; K; V])        Q, K, V: c -> o
             A = softmax_ab(q_ijᵀ (k_ab + e_ij - e_ab) / sqrt(p)) over the k × k window around ij, in each of H heads
             e = P [column; row], from -1 to 1 over the map: 2 -> p,  p = o / H
             W: 3H -> l², the same for each of the p channels of a head;  conv_l: l × l, p groups of l² -> H
    Params:  3co + 3o + 2p + 3H l² + l² l² o + 2
    MACs:    3co h w + 3H l² p h w + l² l² o h' w'        h' = ceil(h / s),  w' = ceil(w / s)
    Source:  Pan et al., On the Integration of Self-Attention and Convolution, CVPR 2022. arXiv:2111.14556
    Departs: the authors' code is followed, which mirrors the map beyond its edges for the attention and fills in zeros
             for the convolution. Its P has a bias, which e_ij - e_ab cancels; at a stride it fails on odd maps.
    Start:   the authors' code: projections as PyTorch does, U(-b, b) with b = 1 / sqrt(inputs); alpha = beta = 1/2;
             conv_l shifts: each of its l² inputs goes to the output from another tap.

    `window` is k, `kernel_conv` is l, whatever the kernel of the replaced convolution. `num_heads` is H. `MACs` counts
    convolutions only; the windows cost 2k² o h' w' more. The window must reach less far than the map.

    >>> sum(p.numel() for p in ACmix(64, 64, 7, 7).parameters())
    17806
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
        kernel_conv: OddInt = 3,
        num_heads: PositiveInt = 4,
    ):
        super().__init__()
        head_dim = dim_of_heads("acmix", out_channels, num_heads)
        smallest = min(height, width)
        if window // 2 >= smallest:
            text = f"window={window} is mirrored at the edges of the map {height}×{width}"
            raise ValueError(f"acmix: {text}; set window to {2 * smallest - 1} or less")
        self.num_heads, self.head_dim, self.window = num_heads, head_dim, window
        self.stride, taps = pair(stride), kernel_conv**2
        self.conv1 = nn.Conv2d(in_channels, out_channels, 1)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 1)
        self.conv3 = nn.Conv2d(in_channels, out_channels, 1)
        self.position = nn.Parameter(torch.empty(head_dim, 2).uniform_(-(0.5**0.5), 0.5**0.5))
        self.fc = nn.Conv2d(3 * num_heads, taps, 1, bias=False)
        self.dep_conv = nn.Conv2d(
            taps * head_dim, out_channels, kernel_conv, stride, kernel_conv // 2, groups=head_dim, bias=False
        )
        self.rate1, self.rate2 = nn.Parameter(torch.full((1,), 0.5)), nn.Parameter(torch.full((1,), 0.5))
        shifts = torch.eye(taps).reshape(1, taps, kernel_conv, kernel_conv)
        with torch.no_grad():
            self.dep_conv.weight.copy_(shifts.expand(out_channels, -1, -1, -1))

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (conv(x).unflatten(1, (self.num_heads, -1)) for conv in (self.conv1, self.conv2, self.conv3))
        return q, k, v

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        return _window_weights(q, k, _places(q, self.position), self.window, self.stride)

    def attention(self, x: Tensor) -> Tensor:
        """The weights of a position's window, b heads h' w' k², at least float32; the last axis sums to 1."""
        q, k, _ = self._heads(x)
        return self._weights(q, k)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        attended = _mixture(self._weights(q, k), v, self.window, self.stride)
        # The same sums over heads for each channel of a head: a 1×1 convolution of p further rows.
        stacked = torch.cat([q, k, v], 1).flatten(3)
        local = self.fc(stacked).unflatten(3, x.shape[2:]).transpose(1, 2).flatten(1, 2)
        return self.rate1 * in_format_of(x, attended) + self.rate2 * self.dep_conv(in_format_of(x, local))


def _places(q: Tensor, weight: Tensor) -> Tensor:
    """A map of column and row, each from -1 to 1, for each channel of a head: b m p h w, p 2 -> 1 p h w."""
    height, width = q.shape[3:]
    column, row = (_evenly(size, q) for size in (width, height))
    across, down = weight[:, :, None].unbind(1)
    return ((across * column).unsqueeze(1) + (down * row).unsqueeze(2)).unsqueeze(0)


def _evenly(count: int, like: Tensor) -> Tensor:
    """Numbers from -1 to 1; `linspace`, which torch.export takes for a fixed size only."""
    return torch.arange(count, dtype=like.dtype, device=like.device) * (2 / max(count - 1, 1)) - 1


def _mirrored(x: Tensor, window: int, stride: Pair) -> list[Tensor]:
    """Views of a single copy of a map … h w, mirrored beyond its edges, one for each place of a window: … h' w'."""
    reach = window // 2
    height, width = x.shape[-2:]
    padded = F.pad(x.flatten(0, -4), (reach,) * 4, mode="reflect").unflatten(0, x.shape[:-3])
    places = [(a, b) for a in range(window) for b in range(window)]
    return [padded[..., a : a + height : stride[0], b : b + width : stride[1]] for a, b in places]


def _window_weights(q: Tensor, k: Tensor, places: Tensor, window: int, stride: Pair) -> Tensor:
    """softmax(q (k + e - e') / sqrt(p)) over the window: b m p h w twice, 1 p h w -> b m h' w' k², at least float32."""
    q = at_least_float32(q)[..., :: stride[0], :: stride[1]] * q.shape[2] ** -0.5
    k, places = at_least_float32(k), at_least_float32(places)
    # One map of k - e for both: the window is cut once.
    near = _mirrored(k - places.unsqueeze(1), window, stride)
    here = (q * places[..., :: stride[0], :: stride[1]].unsqueeze(1)).sum(2)
    return torch.stack([(q * one).sum(2) + here for one in near], -1).softmax(-1)


def _mixture(weights: Tensor, v: Tensor, window: int, stride: Pair) -> Tensor:
    """The values of each window, mixed: b m h' w' k², b m p h w -> b (m p) h' w'."""
    shares = weights.to(v.dtype).unsqueeze(2).unbind(-1)
    near = _mirrored(v, window, stride)
    y = shares[0] * near[0]
    for share, one in zip(shares[1:], near[1:], strict=True):
        y += share * one
    return y.flatten(1, 2)


# Not traced: they look at sizes, types and devices.
torch.fx.wrap("_places")
torch.fx.wrap("_window_weights")
torch.fx.wrap("_mixture")
torch.fx.wrap("in_format_of")
