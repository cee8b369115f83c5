"""MSCA: multi-scale convolutional attention. Guo et al., SegNeXt, NeurIPS 2022."""

from __future__ import annotations

from torch import Tensor, nn

from composer.mechanisms.shared.large_kernel import LargeKernelGate, depthwise, draw
from composer.registry import mechanism


@mechanism(
    "msca",
    kind="channel+spatial",
    aliases=("multi-scale convolutional attention", "segnext", "mscan", "多尺度卷积注意力"),
)
class MultiScaleConvolutionalAttention(LargeKernelGate):
    """Multiply the input by a map that sums what four kernels see: 5 × 5, and strips of 7, 11 and 21.

    Shape:   b c h w -> b c h w
    Math:    y = x * W1 (v + sum_k W_k1 W_1k v)        v = W5 x,  k = 7, 11, 21
             W5: 5 × 5,  W_1k: 1 × k,  W_k1: k × 1, all depthwise,  W1: c -> c
             with proj: y = x + P2 (u * W1 …),  u = gelu(P1 x) in place of x,  P1, P2: c -> c
    Params:  c² + 111c;  2c² + 2c more with proj
    MACs:    (c² + 103c) h w;  2c² h w more with proj
    Source:  Guo et al., SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation, NeurIPS 2022.
             arXiv:2209.08575
    Departs: nothing. There is no sigmoid.
    Start:   the authors' code: N(0, 2 g / (k² o)), where k² is the number of weights of a kernel, and zero biases.

    `proj` makes it the attention of SegNeXt's blocks, with its shortcut; the block's norm and scale are not in it.

    >>> sum(p.numel() for p in MultiScaleConvolutionalAttention(64).parameters())
    11200
    """

    def __init__(self, channels: int, *, proj: bool = False):
        super().__init__("msca", channels, proj, lambda: MultiScaleConvolutionalAttention(channels))
        if not proj:
            self.conv0 = depthwise(channels, 5, 5)
            self.conv0_1, self.conv0_2 = depthwise(channels, 1, 7), depthwise(channels, 7, 1)
            self.conv1_1, self.conv1_2 = depthwise(channels, 1, 11), depthwise(channels, 11, 1)
            self.conv2_1, self.conv2_2 = depthwise(channels, 1, 21), depthwise(channels, 21, 1)
            self.conv3 = nn.Conv2d(channels, channels, 1)
            draw(self.conv0, self.conv0_1, self.conv0_2, self.conv1_1, self.conv1_2, self.conv2_1, self.conv2_2)
            draw(self.conv3)

    def gate(self, x: Tensor) -> Tensor:
        v = self.conv0(x)
        near, middle, far = self.conv0_2(self.conv0_1(v)), self.conv1_2(self.conv1_1(v)), self.conv2_2(self.conv2_1(v))
        return self.conv3(v + near + middle + far)
