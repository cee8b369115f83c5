"""The spatial half of BAM. Park et al., BAM, BMVC 2018."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from composer.mechanisms.shared.pooled_norm import NormAt
from composer.options import PositiveInt
from composer.registry import mechanism

# A kernel with a larger dilation would see only the zeros around the map.
Dilation = Annotated[int, Field(gt=0, le=1024)]


@mechanism("bam_spatial", kind="spatial", applied="1 + gate", place={"after": "stage", "where": "not last"})
class BAMSpatial(nn.Module):
    """Amplify each position by a gate computed from its dilated surroundings.

    Shape:   b c h w -> b c h w
    Math:    y = x * (1 + sigmoid(q))        q = conv1x1(f(conv3x3(f(conv3x3(f(conv1x1(x)))))))
             f = relu(BN),  widths c d d d 1,  d = max(1, c // r);  `norm_at: last`: f = relu,  q = BN(conv1x1(…))
    Params:  cd + 18d² + 10d + 1;  cd + 18d² + 4d + 3 with the norm last
    MACs:    (cd + 18d² + d) h w
    Source:  Park et al., BAM: Bottleneck Attention Module, BMVC 2018, eq. 4. arXiv:1807.06514
    Departs: each hidden convolution has a batch norm, as in the authors' code; the paper has one after the last
             (`norm_at: last`).
    Start:   the authors' code: N(0, 2 / (k² outputs)) and zero biases.

    `reduction` is r; `dilation` is that of the 3 × 3 convolutions.

    >>> sum(p.numel() for p in BAMSpatial(64).parameters())
    585
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: PositiveInt = 16,
        dilation: Dilation = 4,
        norm_at: NormAt = "hidden",
    ):
        super().__init__()
        hidden, inside = max(1, channels // reduction), norm_at == "hidden"
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden) if inside else nn.Identity()
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation)
        self.bn2 = nn.BatchNorm2d(hidden) if inside else nn.Identity()
        self.conv3 = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation)
        self.bn3 = nn.BatchNorm2d(hidden) if inside else nn.Identity()
        self.conv4 = nn.Conv2d(hidden, 1, 1)
        self.bn4 = nn.Identity() if inside else nn.BatchNorm2d(1)
        # A layer per call: quantisers refuse a layer that is called twice.
        self.act1, self.act2, self.act3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def logits(self, x: Tensor) -> Tensor:
        """q, b 1 h w."""
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        x = self.act3(self.bn3(self.conv3(x)))
        return self.bn4(self.conv4(x))

    def attention(self, x: Tensor) -> Tensor:
        """The factor, b 1 h w, in (1, 2)."""
        return 1 + self.logits(x).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
