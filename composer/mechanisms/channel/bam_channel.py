"""The channel half of BAM. Park et al., BAM, BMVC 2018."""

from __future__ import annotations

from torch import Tensor, nn

from composer.kernels import fused
from composer.kernels.channel import gated_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.channel_gate import ChannelGate
from composer.mechanisms.shared.pooled_norm import NormAt, PooledNorm, pooled_norm
from composer.options import PositiveInt
from composer.registry import mechanism


@mechanism(
    "bam_channel", kind="channel", layout="b c *", applied="1 + gate", place={"after": "stage", "where": "not last"}
)
class BAMChannel(ChannelGate):
    """Amplify each channel by a gate computed from the globally pooled input.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * (1 + sigmoid(p))        p = W2 relu(BN(W1 mean_hw(x)))
             W1: c -> d,  W2: d -> c,  d = max(1, c // r);  `norm_at: last`: p = BN(W2 relu(W1 mean_hw(x)))
    Params:  2cd + c + 3d;  2cd + 3c + d with the norm last
    MACs:    2cd
    Source:  Park et al., BAM: Bottleneck Attention Module, BMVC 2018, eq. 3. arXiv:1807.06514
    Departs: the batch norm is between W1 and W2, as in the authors' code; in the paper it is last (`norm_at: last`).
    Start:   the authors' code: PyTorch's own, U(-b, b) with b = 1 / sqrt(inputs), but zero biases.

    In training mode it needs a batch of at least 2, since a batch norm over one value raises ValueError. `norm: layer`
    and `norm: none` work with a batch of 1. `reduction` is r.

    >>> sum(p.numel() for p in BAMChannel(64).parameters())
    588
    """

    def __init__(
        self,
        channels: int,
        spatial_dims: int = 2,
        *,
        reduction: PositiveInt = 16,
        norm: PooledNorm = "batch",
        norm_at: NormAt = "hidden",
    ):
        super().__init__(spatial_dims)
        hidden = max(1, channels // reduction)
        self.norm_at = norm_at
        self.fc1 = self.pointwise(channels, hidden)
        self.bn = pooled_norm(norm, hidden if norm_at == "hidden" else channels, spatial_dims)
        self.act = nn.ReLU()
        self.fc2 = self.pointwise(hidden, channels)
        for layer in (self.fc1, self.fc2):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def logits(self, x: Tensor) -> Tensor:
        """p, b c 1 1."""
        return self._logits(self.mean(x))

    def _logits(self, z: Tensor) -> Tensor:
        z = self.fc1(z)
        if self.norm_at == "hidden":
            return self.fc2(self.act(self.bn(z)))
        return self.bn(self.fc2(self.act(z)))

    def excite(self, z: Tensor) -> Tensor:
        """The factor of a pooled input, both b c 1 1."""
        return 1 + self._logits(z).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The factor, b c 1 1, in (1, 2)."""
        return self.excite(self.mean(x))

    @fused(gated_by_mean, where=is_large)
    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
