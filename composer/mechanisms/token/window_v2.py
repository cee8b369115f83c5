"""Window, second version: cosine attention within windows. Liu et al., Swin Transformer V2, CVPR 2022."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from composer.mechanisms.token.window import ShiftedWindowAttention
from composer.options import NonNegativeInt, PositiveInt
from composer.registry import mechanism

# Width of the network that gives the bias, and the largest factor of a cosine.
HIDDEN, MOST = 512, 100.0


def _macs(inputs: Sequence[Any], channels: int, height: int, width: int, window: int) -> int:
    """Multiply-accumulates per example, without the network, which runs once for all examples of a batch."""
    rows, columns = min(window, height), min(window, width)
    positions = -(-height // rows) * rows * -(-width // columns) * columns
    return (4 * channels**2 + 2 * channels * rows * columns) * positions


@mechanism(
    "window_v2",
    kind="token",
    layout="b c h w",
    macs=_macs,
    aliases=("swin v2", "swinv2", "scaled cosine attention", "continuous relative position bias", "窗口余弦注意力"),
)
class CosineWindowAttention(ShiftedWindowAttention):
    """Replace each position by a mixture of its window's, weighted by a cosine and by a network of the offset.

    Shape:   b c h w -> b c h w
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(t_i cos(Q_i, K_i) + 16 sigmoid(B_i)),  t_i <= 100
             B(u, v) = W_2 relu(W_1 d + b_1)        d = sign(e) log_8(1 + 8 |e|),  e = (u - v) / (k - 1)
             windows of k × k positions begin at every k-th row and column, from row and column s
    Params:  4c² + 3c + 513H + 1536        keys have no bias
    MACs:    4c² h' w' + 2c i j h' w'        h', w': the map padded to whole windows of i × j
    Source:  Liu et al., Swin Transformer V2: Scaling Up Capacity and Resolution, CVPR 2022, sec. 3.2-3.3.
             arXiv:2111.09883
    Departs: nothing where windows divide the map. Elsewhere padding gets weight 0, as in `window`. The norms that a
             block of V2 has behind its branches are not part of it.
    Start:   the authors' code: N(0, 0.02²) maps, cut off at -2 and 2, zero biases, and t = 10.

    Options are those of `window`. The network is asked once for each of the (2i - 1) (2j - 1) offsets in a window, for
    all examples of a batch: (1024 + 512H) more multiply-accumulates per offset, which `MACs` leaves out.

    >>> sum(p.numel() for p in CosineWindowAttention(64, 56, 56).parameters())
    19138
    """

    name = "window_v2"
    coords: Tensor

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        place_index: int = 0,
        *,
        window: PositiveInt = 7,
        num_heads: PositiveInt | None = None,
        shift: NonNegativeInt | Literal["auto"] = "auto",
    ):
        super().__init__(channels, height, width, place_index, window=window, num_heads=num_heads, shift=shift)
        del self.relative_position_bias_table
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(channels))
        self.v_bias = nn.Parameter(torch.zeros(channels))
        self.logit_scale = nn.Parameter(torch.full((self.num_heads, 1, 1), math.log(10)))
        first, last = nn.Linear(2, HIDDEN), nn.Linear(HIDDEN, self.num_heads, bias=False)
        self.cpb_mlp = nn.Sequential(first, nn.ReLU(), last)
        for layer in (self.qkv, first, last):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.zeros_(first.bias)

    @property
    def _own(self) -> Tensor:
        # Before it has weights of its own, the parent's are there.
        return self.q_bias if hasattr(self, "q_bias") else super()._own

    @property
    def offset_tables(self) -> dict[str, tuple[int, ...]]:
        """None: a network gives the numbers."""
        return {}

    def _derive(self, device: torch.device) -> None:
        super()._derive(device)
        axes = [torch.arange(1.0 - side, side, device=device) * 8 / max(1, side - 1) for side in self.window]
        offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 1)
        coords = offsets.sign() * (offsets.abs() + 1).log2() / 3
        self.register_buffer("coords", coords.to(self._own.dtype), persistent=False)

    def _table(self) -> Tensor:
        return 16 * self.cpb_mlp(self.coords).sigmoid()

    def _projected(self, x: Tensor) -> Tensor:
        return self.qkv(x) + torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        q, k, v = super()._heads(x)
        scale = self.logit_scale.clamp(max=math.log(MOST)).exp().repeat(self.num_windows, 1, 1)
        return as_cosines(q, scale * q.shape[3] ** 0.5), as_cosines(k, 1.0), v


def as_cosines(x: Tensor, scale: Tensor | float) -> Tensor:
    """Rows of length 1 times a scale, computed in float32 or better."""
    # Backward keeps the rows as they are, and a number for each in float32.
    precision = torch.promote_types(x.dtype, torch.float32)
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=precision).clamp_min(1e-12)
    return (x * (scale / length)).to(x.dtype)


torch.fx.wrap("as_cosines")
