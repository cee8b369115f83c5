"""Strip pooling. Hou et al., CVPR 2020."""

from __future__ import annotations

from torch import Tensor, nn

from composer.registry import mechanism


@mechanism(
    "strip",
    kind="channel+spatial",
    aliases=("strip pooling", "spnet", "strip pooling module", "spblock", "条带池化"),
)
class StripPooling(nn.Module):
    """Rescale each element by a gate computed from the means of its row and its column, and of those beside them.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(W relu(BN(conv_3(mean_w(x))) + BN(conv_3(mean_h(x)))) + v)
             conv_3: c -> c, along the rows' means and along the columns' means, zero padded;  W: c -> c
    Params:  7c² + 5c
    MACs:    3c² (h + w) + c² h w
    Source:  Hou et al., Strip Pooling: Rethinking Spatial Pooling for Scene Parsing, CVPR 2020. arXiv:2003.13328. The
             authors' SPBlock, which stands in their ResNet.
    Departs: nothing. timm's StripAttn is a smaller one: depthwise convolutions, no norm and no W. The mixed pooling
             module of the paper's head is not this mechanism.
    Start:   the authors' network: N(0, 2 / (k c)), k the length of the kernel; v as PyTorch does, U(-b, b) with
             b = 1 / sqrt(c).

    A single image of a single row or column cannot train: a batch norm has one value, and needs a batch of at least 2.

    >>> sum(p.numel() for p in StripPooling(64).parameters())
    28992
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1), bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU()
        self.conv3 = nn.Conv2d(channels, channels, 1)
        for layer in (self.conv1, self.conv2, self.conv3):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w, in (0, 1)."""
        rows = self.bn1(self.conv1(x.mean(3, keepdim=True)))
        columns = self.bn2(self.conv2(x.mean(2, keepdim=True)))
        return self.conv3(self.act(rows + columns)).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
