"""LKA: large kernel attention. Guo et al., Visual Attention Network, CVM 2023."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.shared.large_kernel import DECOMPOSED, KernelSize, LargeKernelGate, depthwise, draw
from composer.registry import mechanism


@mechanism(
    "lka",
    kind="channel+spatial",
    aliases=("large kernel attention", "van", "visual attention network", "大核注意力"),
)
class LargeKernelAttention(LargeKernelGate):
    """Multiply the input by a map that sees far, made by a large kernel taken apart into three small ones.

    Shape:   b c h w -> b c h w
    Math:    y = x * W1 W_j W_i x        W_i: i × i and W_j: j × j with a dilation, both depthwise,  W1: c -> c
             with proj: y = x + P2 (u * W1 W_j W_i u),  u = gelu(P1 x),  P1, P2: c -> c
    Params:  c² + (i² + j² + 3) c;  2c² + 2c more with proj
    MACs:    (c² + (i² + j²) c) h w;  2c² h w more with proj
    Source:  Guo et al., Visual Attention Network, CVM 2023. arXiv:2202.09741
    Departs: nothing. The paper counts its kernel as 3 × 7 = 21; with both kernels a position sees 23, as `kernel_size`
             says. The other sizes are those that LSKA's authors take apart. There is no sigmoid.
    Start:   the authors' code: N(0, 2 g / (k² o)) and zero biases.

    `kernel_size` gives i, j and the dilation of W_j: 7: 3, 3, 2;  11: 3, 5, 2;  23: 5, 7, 3;  35: 5, 11, 3;
    41: 5, 13, 3;  53: 5, 17, 3. `proj` makes it the attention of VAN's blocks, with its shortcut; the block's norm and
    scale are not in it.

    >>> sum(p.numel() for p in LargeKernelAttention(64).parameters())
    9024
    >>> sum(p.numel() for p in LargeKernelAttention(64, proj=True).parameters())
    17344
    """

    def __init__(self, channels: int, *, kernel_size: KernelSize = 23, proj: bool = False):
        super().__init__("lka", channels, proj, lambda: LargeKernelAttention(channels, kernel_size=kernel_size))
        if not proj:
            near, far, dilation = DECOMPOSED[kernel_size]
            self.conv0 = depthwise(channels, near, near)
            self.conv_spatial = depthwise(channels, far, far, dilation)
            self.conv1 = nn.Conv2d(channels, channels, 1)
            draw(self.conv0, self.conv_spatial, self.conv1)

    def gate(self, x: Tensor) -> Tensor:
        return self.conv1(self.conv_spatial(self.conv0(x)))
