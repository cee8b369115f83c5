"""BAM: bottleneck attention module. Park et al., BAM, BMVC 2018."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from composer.mechanisms.channel.bam_channel import BAMChannel
from composer.mechanisms.shared.pooled_norm import NormAt, PooledNorm
from composer.mechanisms.spatial.bam_spatial import BAMSpatial, Dilation
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "bam",
    kind="channel+spatial",
    applied="1 + gate",
    place={"after": "stage", "where": "not last"},
    aliases=("bottleneck attention module",),
)
class BAM(nn.Module):
    """Amplify each element by a gate computed from a number per channel and a number per position.

    Shape:   b c h w -> b c h w
    Math:    y = x * (1 + sigmoid(p * q))        `fuse: add`: sigmoid(p + q)
             p = W2 relu(BN(W1 mean_hw(x)))                                W1: c -> d,  W2: d -> c,  d = max(1, c // r)
             q = conv1x1(f(conv3x3(f(conv3x3(f(conv1x1(x)))))))            f = relu(BN),  widths c d d d 1
             `norm_at: last`: p = BN(W2 relu(W1 mean_hw(x))),  f = relu,  q = BN(conv1x1(…))
    Params:  3cd + 18d² + c + 13d + 1;  3cd + 18d² + 3c + 5d + 3 with the norm last
    MACs:    2cd + (cd + 18d² + d) h w
    Source:  Park et al., BAM: Bottleneck Attention Module, BMVC 2018, eq. 1-4. arXiv:1807.06514
    Departs: p * q and the batch norms inside are the authors' code; the paper adds, and normalises the last layers:
             `fuse: add, norm_at: last`.
    Start:   the authors' code: W1 and W2 as PyTorch does, U(-b, b) with b = 1 / sqrt(inputs), convolutions
             N(0, 2 / (k² outputs)), zero biases.

    In training mode p needs a batch of at least 2, since a batch norm over one value raises ValueError. `norm: layer`
    and `norm: none`, which normalise the pooled vector in another way or not at all, work with a batch of 1.
    `reduction` is r; `dilation` is that of the 3 × 3 convolutions.

    >>> sum(p.numel() for p in BAM(64).parameters())
    1173
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveInt = 16,
        dilation: Dilation = 4,
        fuse: Literal["multiply", "add"] = "multiply",
        norm: PooledNorm = "batch",
        norm_at: NormAt = "hidden",
    ):
        super().__init__()
        if fuse not in ("multiply", "add"):
            raise ValueError(f"bam: unknown fuse {fuse!r}; use multiply or add")
        self.fuse = fuse
        self.channel = BAMChannel(channels, reduction=reduction, norm=norm, norm_at=norm_at)
        self.spatial = BAMSpatial(channels, reduction=reduction, dilation=dilation, norm_at=norm_at)

    def attention(self, x: Tensor) -> Tensor:
        """The factor, b c h w, in (1, 2)."""
        p, q = self.channel.logits(x), self.spatial.logits(x)
        return 1 + (p * q if self.fuse == "multiply" else p + q).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
