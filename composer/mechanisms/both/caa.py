"""CAA: context anchor attention. Cai et al., PKINet, CVPR 2024."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.shared.large_kernel import depthwise, draw
from composer.mechanisms.shared.odd import check_odd
from composer.options import OddInt
from composer.registry import mechanism


@mechanism(
    "caa",
    kind="channel+spatial",
    aliases=("context anchor attention", "pkinet", "上下文锚点注意力"),
)
class ContextAnchorAttention(nn.Module):
    """Rescale each element by a gate computed from averages of its surroundings, along a long cross around it.

    Shape:   b c h w -> b c h w
    Math:    y = x * sigmoid(f(W2 conv_v(conv_h(f(W1 mean_7x7(x))))))        f = silu(BN),  without norm: f(z) = z
             conv_h, conv_v: depthwise, 1 × k and k × 1, zero padded;  mean_7x7 counts the zeros around the map
             W1, W2: c -> c, without norm with a bias
    Params:  2c² + 2ck + 6c;  2c² + 2ck + 4c without norm
    MACs:    (2c² + 2ck) h w
    Source:  Cai et al., Poly Kernel Inception Network for Remote Sensing Detection, CVPR 2024. arXiv:2403.06258. The
             authors' class.
    Departs: nothing. The authors' networks call their class with neither norms nor activations (`norm: false`), and
             with k from 11 upwards, two more at each block of a stage (`kernel_size`); copies in detectors have both.
    Start:   the authors' network: N(0, 2 g / (k² o)), where k² is the number of weights of a kernel, and zero biases.

    `kernel_size` is k. The norms have momentum 0.03 and eps 1e-3. A single image of a single position cannot train with
    them: each has one value, and needs a batch of at least 2.

    >>> sum(p.numel() for p in ContextAnchorAttention(64).parameters())
    9984
    """

    def __init__(self, channels: int, *, kernel_size: OddInt = 11, norm: bool = True):
        super().__init__()
        check_odd("caa", kernel_size)
        self.pool = nn.AvgPool2d(7, 1, 3)
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=not norm)
        self.conv_h = depthwise(channels, 1, kernel_size)
        self.conv_v = depthwise(channels, kernel_size, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1, bias=not norm)
        self.bn1, self.bn2 = (
            nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03) if norm else nn.Identity() for _ in range(2)
        )
        self.act1, self.act2 = (nn.SiLU() if norm else nn.Identity() for _ in range(2))
        draw(self.conv1, self.conv_h, self.conv_v, self.conv2)

    def attention(self, x: Tensor) -> Tensor:
        """The gate, b c h w, in (0, 1); with norms above 0.43, since silu is never below -0.28."""
        z = self.act1(self.bn1(self.conv1(self.pool(x))))
        return self.act2(self.bn2(self.conv2(self.conv_v(self.conv_h(z))))).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)
