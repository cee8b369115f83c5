"""LSK: large selective kernels. Li et al., LSKNet, ICCV 2023."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.large_kernel import LargeKernelGate, depthwise, draw
from composer.registry import mechanism


@mechanism(
    "lsk",
    kind="channel+spatial",
    aliases=("large selective kernel", "lsknet", "lskblock", "lskattention", "大选择性核"),
)
class LargeSelectiveKernel(LargeKernelGate):
    """Multiply the input by a map that mixes, at each position, what a near and a far kernel see.

    Shape:   b c h w -> b c h w
    Math:    y = x * W (s_1 * u_1 + s_2 * u_2)        u_1 = W1 v_1,  u_2 = W2 v_2,  v_1 = W5 x,  v_2 = W7 v_1
             [s_1; s_2] = sigmoid(conv_7([mean_d([u_1; u_2]); max_d([u_1; u_2])]))
             W5: 5 × 5 and W7: 7 × 7 with dilation 3, both depthwise,  W1, W2: c -> d,  W: d -> c,  d = max(1, c // 2)
             with proj: y = x + P2 (z * W (…)),  z = gelu(P1 x) in place of x,  P1, P2: c -> c
    Params:  3cd + 77c + 2d + 198;  2c² + 2c more with proj
    MACs:    (3cd + 74c + 196) h w;  2c² h w more with proj
    Source:  Li et al., Large Selective Kernel Network for Remote Sensing Object Detection, ICCV 2023. arXiv:2303.09030
    Departs: nothing. Equal maxima share the gradient; in the authors' code one of them gets all of it.
    Start:   the authors' code: N(0, 2 g / (k² o)) and zero biases.

    `proj` makes it the attention of LSKNet's blocks, with its shortcut; the block's norm and scale are not in it.

    >>> sum(p.numel() for p in LargeSelectiveKernel(64).parameters())
    11334
    """

    def __init__(self, channels: int, *, proj: bool = False):
        super().__init__("lsk", channels, proj, lambda: LargeSelectiveKernel(channels))
        if not proj:
            hidden = max(1, channels // 2)
            self.conv0 = depthwise(channels, 5, 5)
            self.conv_spatial = depthwise(channels, 7, 7, 3)
            self.conv1, self.conv2 = nn.Conv2d(channels, hidden, 1), nn.Conv2d(channels, hidden, 1)
            self.conv_squeeze = nn.Conv2d(2, 2, 7, padding=3)
            self.conv = nn.Conv2d(hidden, channels, 1)
            draw(self.conv0, self.conv_spatial, self.conv1, self.conv2, self.conv_squeeze, self.conv)

    def gate(self, x: Tensor) -> Tensor:
        near = self.conv0(x)
        near, far = self.conv1(near), self.conv2(self.conv_spatial(near))
        both = torch.cat([near, far], 1)
        pooled = torch.cat([both.mean(1, keepdim=True), both.amax(1, keepdim=True)], 1)
        select = self.conv_squeeze(pooled).sigmoid()
        return self.conv(near * select[:, :1] + far * select[:, 1:])
