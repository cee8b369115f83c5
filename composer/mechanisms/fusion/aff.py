"""AFF: attentional feature fusion. Dai et al., WACV 2021."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.shared.context import PooledContext, local_context
from composer.mechanisms.shared.pooled_norm import PooledNorm
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "aff",
    kind="fusion",
    applied="gate",
    place={"replace": "**.add"},
    aliases=("attentional feature fusion", "ms-cam", "MS_CAM", "注意力特征融合"),
)
class AFF(nn.Module):
    """Mix two maps, with a share for each channel at each position that their sum decides.

    Shape:   b c h w, b c h w -> b c h w
    Math:    y = 2 (a * x + (1 - a) * other)        a = sigmoid(local(x + other) + global(mean_hw(x + other)))
             local and global, each: BN(W2 relu(BN(W1 z))),  W1: c -> d,  W2: d -> c,  d = max(1, c // r)
    Params:  4cd + 6d + 6c;  2d + 2c less at norm none
    MACs:    2c d h w + 2c d
    Source:  Dai et al., Attentional Feature Fusion, WACV 2021. arXiv:2009.14082
    Departs: the paper has no factor 2; the authors' code has it, and with it a share of 1/2 is the plain sum.
    Start:   the authors' code, which leaves PyTorch's own: weights and biases U(-b, b),  b = 1 / sqrt(inputs).

    In place of a sum it takes both of its tensors: `{use: aff, replace: "**.add"}`. In training mode it needs a batch
    of at least 2, since the batch norm of the pooled features raises ValueError over one value; `norm: layer` and
    `norm: none`, which change the norms of the global branch alone, do not.
    `reduction` is r.

    >>> sum(p.numel() for p in AFF(64).parameters())
    4576
    """

    def __init__(self, channels: int, *, reduction: PositiveInt = 4, norm: PooledNorm = "batch"):
        super().__init__()
        inner = max(1, channels // reduction)
        self.local_att = local_context(channels, inner)
        self.global_att = PooledContext(channels, inner, norm)

    def attention(self, x: Tensor, other: Tensor) -> Tensor:
        """The share of x, b c h w, in (0, 1)."""
        both = x + other
        return (self.local_att(both) + self.global_att(both)).sigmoid()

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return 2 * (other + self.attention(x, other) * (x - other))
