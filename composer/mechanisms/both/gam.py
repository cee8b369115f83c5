"""GAM: global attention mechanism. Liu et al., 2021."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.shared.odd import check_odd
from composer.options import OddInt, PositiveInt
from composer.registry import mechanism


@mechanism(
    "gam",
    kind="channel+spatial",
    aliases=("global attention mechanism", "gam attention", "gam_attention", "全局注意力机制"),
)
class GlobalAttentionMechanism(nn.Module):
    """Rescale each element by a gate from the channels at its position, then by one from its surroundings.

    Shape:   b c h w -> b c h w
    Math:    y = x' * sigmoid(BN(conv_k(relu(BN(conv_k(x'))))))        x' = x * sigmoid(W2 relu(W1 x)), at each position
             W1, first conv_k: c -> d,  W2, second conv_k: d -> c,  d = max(1, c // r);  nothing is pooled
    Params:  2cd (k² + 1) + 4c + 4d
    MACs:    2cd (k² + 1) h w
    Source:  Liu et al., Global Attention Mechanism: Retain Information to Enhance Channel-Spatial Interactions, 2021.
             arXiv:2112.05561
    Departs: convolutions are whole, as in the figures; the paper uses groups and a shuffle of channels in ResNet-50 to
             save parameters. A copy in yoloair leaves out the sigmoid of the first gate.
    Start:   PyTorch's own, as the copies: U(-b, b),  b = 1 / sqrt(inputs k²).

    `reduction` is r, `kernel_size` is k. At 64 channels it has 177 times the parameters of `se`. A single image of a
    single position cannot train: its batch norms have one value, and need a batch of at least 2.

    >>> sum(p.numel() for p in GlobalAttentionMechanism(64).parameters())
    102720
    """

    def __init__(self, channels: int, *, reduction: PositiveInt = 4, kernel_size: OddInt = 7):
        super().__init__()
        check_odd("gam", kernel_size)
        hidden, padding = max(1, channels // reduction), kernel_size // 2
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act1 = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1)
        self.conv1 = nn.Conv2d(channels, hidden, kernel_size, padding=padding)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.act2 = nn.ReLU()
        self.conv2 = nn.Conv2d(hidden, channels, kernel_size, padding=padding)
        self.bn2 = nn.BatchNorm2d(channels)

    def _channels(self, x: Tensor) -> Tensor:
        return self.fc2(self.act1(self.fc1(x))).sigmoid()

    def _surroundings(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.act2(self.bn1(self.conv1(x))))).sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The product of both gates, b c h w, in (0, 1)."""
        first = self._channels(x)
        return first * self._surroundings(x * first)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self._channels(x)
        return x * self._surroundings(x)
