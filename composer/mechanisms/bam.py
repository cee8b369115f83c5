"""BAM: bottleneck attention module. Park et al., BAM, BMVC 2018."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from composer.options import PositiveInt
from composer.registry import mechanism


class ChannelLogits(nn.Module):
    """A number per channel from the globally pooled input: W2 relu(BN(W1 mean_hw(x))). b c h w -> b c 1 1"""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.bn = nn.BatchNorm2d(hidden)
        self.act = nn.ReLU()
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = x.mean((2, 3), keepdim=True)
        return self.fc2(self.act(self.bn(self.fc1(z))))


class SpatialLogits(nn.Module):
    """A number per position from its dilated surroundings. b c h w -> b 1 h w"""

    def __init__(self, channels: int, hidden: int, dilation: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation)
        self.bn3 = nn.BatchNorm2d(hidden)
        self.conv4 = nn.Conv2d(hidden, 1, 1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn1(self.conv1(x)))
        x = self.act(self.bn2(self.conv2(x)))
        x = self.act(self.bn3(self.conv3(x)))
        return self.conv4(x)


@mechanism("bam", kind="channel+spatial")
class BAM(nn.Module):
    """Amplify each element by a gate in which a number per channel meets a number per position.

    Shape:   b c h w -> b c h w
    Math:    y = x * (1 + sigmoid(p * q))        `fuse: add`: sigmoid(p + q)
             p = W2 relu(BN(W1 mean_hw(x)))                                W1: c -> d,  W2: d -> c,  d = max(1, c // r)
             q = conv1x1(f(conv3x3(f(conv3x3(f(conv1x1(x)))))))            f = relu(BN),  widths c d d d 1
    Params:  3cd + 18d² + c + 13d + 1
    Source:  Park et al., BAM: Bottleneck Attention Module, BMVC 2018, eq. 1-4. arXiv:1807.06514
    Departs: p * q and the batch norms inside are the authors' code; the paper adds, and normalises the last layers.

    In training mode p needs a batch of at least 2: a batch norm over one value raises ValueError.

    >>> sum(p.numel() for p in BAM(64).parameters())
    1173
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveInt = 16,
        dilation: PositiveInt = 4,
        fuse: Literal["multiply", "add"] = "multiply",
    ):
        super().__init__()
        if fuse not in ("multiply", "add"):
            raise ValueError(f"bam: unknown fuse {fuse!r}; use multiply or add")
        hidden = max(1, channels // reduction)
        self.fuse = fuse
        self.channel = ChannelLogits(channels, hidden)
        self.spatial = SpatialLogits(channels, hidden, dilation)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def attention(self, x: Tensor) -> Tensor:
        """The factor, b c h w, in (1, 2)."""
        p, q = self.channel(x), self.spatial(x)
        return 1 + (p * q if self.fuse == "multiply" else p + q).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
