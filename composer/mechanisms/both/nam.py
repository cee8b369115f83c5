"""NAM: normalization-based attention, its channel half. Liu et al., 2021."""

from __future__ import annotations

from torch import Tensor, nn

from composer.registry import mechanism


@mechanism(
    "nam",
    kind="channel+spatial",
    aliases=("normalization-based attention", "nam attention", "基于归一化的注意力"),
)
class NormalizationAttention(nn.Module):
    """Rescale each element by a gate of its normalised value, weighted by the norm's scale of its channel.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(v BN(x))        v_c = |w_c| / sum_c(|w_c|),  w: the scale of BN
    Params:  2c
    MACs:    0
    Source:  Liu et al., NAM: Normalization-based Attention Module, NeurIPS workshops 2021. arXiv:2111.12419
    Departs: v learns, as in the equations; the authors' code takes it out of the gradient. The pixel half of the paper,
             whose norm fits a single size, is not in the authors' code either.
    Start:   the authors' code: w 1 and the bias 0.

    The weights v are near 1 / c, so that every gate is near 1/2: between 0.495 and 0.505 at 256 channels. The
    penalty on w that the paper adds to the loss is left to the training. A single image of a single position cannot
    train: its batch norm has one value, and needs a batch of at least 2.

    >>> sum(p.numel() for p in NormalizationAttention(64).parameters())
    128
    """

    def __init__(self, channels: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w, in (0, 1)."""
        scale = self.bn.weight.abs()
        # Scales that are all 0 have no shares.
        shares = (scale / scale.sum().clamp_min(1e-12)).unsqueeze(1).unsqueeze(2)
        return (self.bn(x) * shares).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
