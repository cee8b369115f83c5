"""iAFF: iterative attentional feature fusion. Dai et al., WACV 2021."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.shared.context import PooledContext, local_context
from composer.mechanisms.shared.pooled_norm import PooledNorm
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "iaff",
    kind="fusion",
    applied="gate",
    place={"replace": "**.add"},
    aliases=("iterative attentional feature fusion", "迭代注意力特征融合"),
)
class IterativeAFF(nn.Module):
    """Mix two maps twice: the first mixture, in place of their sum, decides the shares of the second.

    Shape:   b c h w, b c h w -> b c h w
    Math:    y = a2 * x + (1 - a2) * other        a2 = s2(z),  z = a1 * x + (1 - a1) * other,  a1 = s1(x + other)
             s_i(z) = sigmoid(local_i(z) + global_i(mean_hw(z)))
             local and global, each: BN(W2 relu(BN(W1 z))),  W1: c -> d,  W2: d -> c,  d = max(1, c // r)
    Params:  8cd + 12d + 12c;  2cd + 3d + 3c less with share_global;  4d + 4c less at norm none
    MACs:    4c d h w + 4c d
    Source:  Dai et al., Attentional Feature Fusion, WACV 2021. arXiv:2009.14082
    Departs: the authors' code makes a second global branch and never calls it: it calls the first again. By default the
             second is used, as in the paper; `share_global: true` is their code, without the weights never used.
    Start:   the authors' code, which leaves PyTorch's own: weights and biases U(-b, b),  b = 1 / sqrt(inputs).

    In place of a sum it takes both of its tensors: `{use: iaff, replace: "**.add"}`. At the start the output is about
    half of their sum. In training mode it needs a batch of at least 2, since the batch norm of the pooled features
    raises ValueError over one value; `norm: layer` and `norm: none`, which change the norms of the global branches
    alone, do not.
    `reduction` is r.

    >>> sum(p.numel() for p in IterativeAFF(64).parameters())
    9152
    >>> sum(p.numel() for p in IterativeAFF(64, share_global=True).parameters())
    6864
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveInt = 4,
        norm: PooledNorm = "batch",
        share_global: bool = False,
    ):
        super().__init__()
        inner = max(1, channels // reduction)
        self.local_att = local_context(channels, inner)
        self.global_att = PooledContext(channels, inner, norm)
        self.local_att2 = local_context(channels, inner)
        self.global_att2 = None if share_global else PooledContext(channels, inner, norm)

    def attention(self, x: Tensor, other: Tensor) -> Tensor:
        """The second share of x, b c h w, in (0, 1)."""
        both, difference = x + other, x - other
        z = other + (self.local_att(both) + self.global_att(both)).sigmoid() * difference
        again = self.global_att if self.global_att2 is None else self.global_att2
        return (self.local_att2(z) + again(z)).sigmoid()

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return other + self.attention(x, other) * (x - other)
