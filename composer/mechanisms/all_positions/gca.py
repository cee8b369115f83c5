"""GCA: the global context block as timm has it. Cao et al., GCNet, ICCV workshops 2019."""

from __future__ import annotations

from typing import Literal

from torch import nn

from composer.mechanisms.all_positions.gc import ContextBlock
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "gca",
    kind="token",
    group="global",
    layout="b c *",
    place={"after": "branch"},
    aliases=("global context attention", "timm gc"),
)
class GlobalContextAttention(ContextBlock):
    """Add to each position the same vector, computed from a mixture of all positions; the form of timm's networks.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x + W2 relu(LN(W1 z))        z = sum_j a_j x_j,  a = softmax_j(w x_j),  j over all positions
             `fuse: mul`: y = x * sigmoid(W2 relu(LN(W1 z)))
             W1: c -> d,  W2: d -> c,  w: c -> 1,  d = max(2, round(c / r)),  ties up
    Params:  2cd + 2c + 3d + 1
    MACs:    2cd + 2c h w
    Source:  Cao et al., GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond, ICCV workshops 2019.
             arXiv:1904.11492. timm: `gca` is the default, `gc` is `fuse: mul`.
    Departs: the paper's `gc` has r = 16, d rounded down, eps = 1e-5 in place of 1e-6, and starts as the identity. d is
             at least 2, since the layer norm of one number is constant; timm has 1 below 12 channels. The softmax
             ignores the bias of w: `conv_attn.bias` gets no gradient.
    Start:   timm's: w N(0, 2 / c); W2 zero, or with `fuse: mul` as PyTorch does, as all the rest, U(-b, b) with
             b = 1 / sqrt(inputs). The bias of W2 is not zero, so that the block starts near the identity and not at it.

    `reduction` is r.

    >>> sum(p.numel() for p in GlobalContextAttention(64).parameters())
    1177
    """

    def __init__(
        self,
        channels: int,
        spatial_dims: int = 2,
        *,
        reduction: PositiveInt = 8,
        fuse: Literal["add", "mul"] = "add",
    ):
        hidden = max(2, (2 * channels + reduction) // (2 * reduction))
        super().__init__(channels, spatial_dims, hidden, fuse, eps=1e-6)
        if fuse == "add":
            nn.init.zeros_(self.fc2.weight)
