"""External attention. Guo et al., Beyond Self-attention: External Attention using Two Linear Layers, TPAMI 2022."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.mechanisms.shared.precision import at_least_float32
from composer.options import PositiveInt
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")


@mechanism(
    "external",
    kind="token",
    aliases=("external attention", "eanet", "two linear layers", "外部注意力"),
)
class ExternalAttention(nn.Module):
    """Replace each token by a mixture of learnt values, weighted by how well it matches learnt keys.

    Shape:   b n c -> b n c
    Math:    y = A M_v        A = B / sum_m(B),  B = softmax_n(x M_kᵀ),  M_k: m × c,  M_v: m × c
    Params:  2cm
    MACs:    2cm n
    Source:  Guo et al., Beyond Self-attention: External Attention using Two Linear Layers for Visual Tasks, TPAMI
             2022. arXiv:2105.02358. The authors' code, which normalises over tokens first and over the memory then.
    Departs: nothing. The authors' block for segmentation has a 1×1 convolution before, one with a norm behind, a
             shortcut and a relu around it.
    Start:   the authors' code: N(0, 2 / c), the same numbers in M_k and M_v.

    `memory` is m: the cost is linear in the tokens. Each slot of the memory is spread over the tokens of the image, so
    that tokens see one another through the normalisation alone.

    >>> sum(p.numel() for p in ExternalAttention(64).parameters())
    8192
    """

    def __init__(self, channels: int, *, memory: PositiveInt = 64):
        super().__init__()
        self.mk = nn.Linear(channels, memory, bias=False)
        self.mv = nn.Linear(memory, channels, bias=False)
        # The authors' two share their memory while they are drawn.
        nn.init.kaiming_normal_(self.mv.weight, mode="fan_out")
        with torch.no_grad():
            self.mk.weight.copy_(self.mv.weight.T)

    def attention(self, x: Tensor) -> Tensor:
        """The weight of each slot of the memory for each token, b 1 n m, at least float32; the last axis sums to 1."""
        # The authors' w / (sum(w) + 1e-9), times 1e9 above and below: ONNX's optimiser drops the addition of 1e-9.
        weights = at_least_float32(self.mk(x)).softmax(1) * 1e9
        return (weights / (weights.sum(2, keepdim=True) + 1)).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.mv(self.attention(x).squeeze(1).to(x.dtype))
