"""NAT: neighbourhood attention. Hassani et al., Neighborhood Attention Transformer, CVPR 2023."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.kernel.sk import weighted_sum
from composer.mechanisms.shared.divisors import dim_of_heads, heads_of
from composer.mechanisms.shared.memory_format import in_format_of
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import OddInt, PositiveInt
from composer.registry import mechanism


@mechanism(
    "nat",
    kind="token",
    layout="b c h w",
    aliases=(
        *("neighborhood attention", "neighbourhood attention", "natten", "dinat", "dilated neighborhood attention"),
        "邻域注意力",
    ),
)
class NeighbourhoodAttention(nn.Module):
    """Replace each position by a mixture of its k × k nearest positions, weighted by content and relative position.

    Shape:   b c h w -> b c h w
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p) + B_i[v - u]),  p = c / H
             over the k × k positions v nearest to u inside the map: at a border the window stays within it
    Params:  4c² + 4c + (2k - 1) (2k - 1) H
    MACs:    4c² h w
    Source:  Hassani et al., Neighborhood Attention Transformer, CVPR 2023. arXiv:2204.07143; dilation: Hassani & Shi,
             Dilated Neighborhood Attention Transformer, 2022. arXiv:2209.15001
    Departs: nothing. The authors' CUDA kernels compute the same; this is plain PyTorch.
    Start:   the authors' code: N(0, 0.02²) maps and table, cut off at -2 and 2, and zero biases.

    `window` is k. With a `dilation` of d, neighbours are the nearest of every d-th row and column, and the map must
    have at least k d of each. `num_heads` is H, by default so that a head has 32 channels, or more where 32 does not
    divide them. `MACs` counts matrix products only; the windows cost 2k² c h w more. `attended` has the positions that
    weights refer to.

    >>> sum(p.numel() for p in NeighbourhoodAttention(64, 14, 14).parameters())
    16978
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        window: OddInt = 7,
        num_heads: PositiveInt | None = None,
        dilation: PositiveInt = 1,
    ):
        super().__init__()
        self.num_heads = heads_of(channels, 32) if num_heads is None else num_heads
        self.scale = dim_of_heads("nat", channels, self.num_heads) ** -0.5
        smallest = min(height, width) // dilation
        if window > smallest:
            wide = f"window={window} at dilation={dilation}"
            fits = max(1, smallest if smallest % 2 else smallest - 1)
            raise ValueError(f"nat: {wide} is larger than the map {height}×{width}; set window to {fits} or less")
        self.window, self.dilation, self.size = window, dilation, (height, width)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.rpb = nn.Parameter(torch.empty(self.num_heads, 2 * window - 1, 2 * window - 1))
        self.proj = nn.Linear(channels, channels)
        nn.init.trunc_normal_(self.rpb, std=0.02)
        for layer in (self.qkv, self.proj):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """b heads p h w each"""
        q, k, v = self.qkv(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).unflatten(1, (3, self.num_heads, -1)).unbind(1)
        return q * self.scale, k, v

    def attention(self, x: Tensor) -> Tensor:
        """The weights of a position's neighbours, b heads h w k², at least float32; the last axis sums to 1."""
        q, k, _ = self._heads(x)
        return weights_of_neighbours(q, k, self.rpb, self.dilation)

    @property
    def attended(self) -> Tensor:
        """Row and column of the neighbours of each position, h w k² 2."""
        rows, columns = (neighbours(length, self.window, self.dilation).float() for length in self.size)
        shape = (*self.size, self.window, self.window)
        pairs = rows[:, None, :, None].expand(shape), columns[None, :, None, :].expand(shape)
        return torch.stack(pairs, -1).flatten(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        weights = weights_of_neighbours(q, k, self.rpb, self.dilation).to(v.dtype).unsqueeze(2).unbind(-1)
        y = weighted_sum(weights, near(v, self.window, self.dilation)).flatten(1, 2)
        return in_format_of(x, self.proj(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def neighbours(length: int, window: int, dilation: int, device: torch.device | None = None) -> Tensor:
    """For each position on an axis, the positions of its window: length × window."""
    own = torch.arange(length, device=device)
    first, turn = own % dilation, own // dilation
    # How many positions there are at every `dilation`-th step from the first.
    count = (length - first + dilation - 1) // dilation
    start = torch.minimum((turn - window // 2).clamp(min=0), count - window)
    return (start[:, None] + torch.arange(window, device=device)) * dilation + first[:, None]


def near(x: Tensor, window: int, dilation: int) -> list[Tensor]:
    """A map b heads p h w, with each position's neighbour in its place: window² maps."""
    rows, columns = (neighbours(length, window, dilation, x.device) for length in x.shape[3:])
    every = [x.index_select(3, rows[:, a]) for a in range(window)]
    return [one.index_select(4, columns[:, b]) for one in every for b in range(window)]


def weights_of_neighbours(q: Tensor, k: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """softmax(q k + bias) over neighbours: b heads p h w -> b heads h w k², in float32 or better."""
    window = (bias.shape[1] + 1) // 2
    q, k = at_least_float32(q), at_least_float32(k)
    content = torch.stack([(q * one).sum(2) for one in near(k, window, dilation)], -1)
    rows, columns = (
        (neighbours(length, window, dilation, q.device) - torch.arange(length, device=q.device)[:, None]) // dilation
        + window
        - 1
        for length in q.shape[3:]
    )
    place = bias[:, rows[:, None, :, None], columns[None, :, None, :]].flatten(3)
    return (content + place).softmax(-1)


for _name in ("in_format_of", "near", "weighted_sum", "weights_of_neighbours"):
    torch.fx.wrap(_name)
