"""LSKA: large separable kernel attention. Lau et al., Expert Systems with Applications 2024."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.shared.large_kernel import DECOMPOSED, KernelSize, LargeKernelGate, depthwise, draw
from composer.registry import mechanism


@mechanism(
    "lska",
    kind="channel+spatial",
    aliases=("large separable kernel attention", "separable large kernel attention", "大可分离核注意力"),
)
class LargeSeparableKernelAttention(LargeKernelGate):
    """Multiply the input by a map that sees far, made by large kernels taken apart into rows and columns.

    Shape:   b c h w -> b c h w
    Math:    y = x * W1 W_j1 W_1j W_i1 W_1i x        W_1i: 1 × i, W_i1: i × 1, and W_1j, W_j1 with a dilation, all
             depthwise,  W1: c -> c;  with proj: y = x + P2 (u * W1 … u),  u = gelu(P1 x),  P1, P2: c -> c
    Params:  c² + (2i + 2j + 5) c;  2c² + 2c more with proj
    MACs:    (c² + (2i + 2j) c) h w;  2c² h w more with proj
    Source:  Lau et al., Large Separable Kernel Attention, Expert Systems with Applications 2024. arXiv:2309.01439
    Departs: nothing. The authors' code is followed, rows before columns.
    Start:   the authors' code: N(0, 2 g / (k² o)), where k² is the number of weights of a kernel, and zero biases.

    `kernel_size` gives i, j and the dilation of W_1j and W_j1: 7: 3, 3, 2;  11: 3, 5, 2;  23: 5, 7, 3;  35: 5, 11, 3;
    41: 5, 13, 3;  53: 5, 17, 3. `proj` makes it the attention of VAN's blocks, with its shortcut; the block's norm and
    scale are not in it.

    >>> sum(p.numel() for p in LargeSeparableKernelAttention(64).parameters())
    5952
    """

    def __init__(self, channels: int, *, kernel_size: KernelSize = 23, proj: bool = False):
        super().__init__(
            "lska", channels, proj, lambda: LargeSeparableKernelAttention(channels, kernel_size=kernel_size)
        )
        if not proj:
            near, far, dilation = DECOMPOSED[kernel_size]
            self.conv0h = depthwise(channels, 1, near)
            self.conv0v = depthwise(channels, near, 1)
            self.conv_spatial_h = depthwise(channels, 1, far, dilation)
            self.conv_spatial_v = depthwise(channels, far, 1, dilation)
            self.conv1 = nn.Conv2d(channels, channels, 1)
            draw(self.conv0h, self.conv0v, self.conv_spatial_h, self.conv_spatial_v, self.conv1)

    def gate(self, x: Tensor) -> Tensor:
        near = self.conv0v(self.conv0h(x))
        return self.conv1(self.conv_spatial_v(self.conv_spatial_h(near)))
