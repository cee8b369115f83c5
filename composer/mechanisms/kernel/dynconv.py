"""Dynamic convolution. Chen et al., Dynamic Convolution: Attention over Convolution Kernels, CVPR 2020."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.kernels import fused
from composer.mechanisms.kernel.condconv import (
    ExpertConv2d,
    convolve_each,
    convolved_by_outputs,
    outputs_are_few,
    plain_mixture,
    pooled,
)
from composer.mechanisms.shared.precision import at_least_float32
from composer.mechanisms.shared.temperature import FallingTemperature
from composer.options import NonNegativeInt, Padding, PositiveFloat, PositiveInt, Size
from composer.registry import mechanism

torch.fx.wrap("at_least_float32")
torch.fx.wrap("convolve_each")
torch.fx.wrap("pooled")


@mechanism(
    "dynconv",
    kind="kernel",
    replaces="conv-or-linear",
    reference=plain_mixture,
    aliases=("dynamic convolution", "dy-conv", "动态卷积"),
)
class DynamicConv(FallingTemperature, ExpertConv2d):
    """Convolve each sample with its own kernel: a mean of experts, weighted by attention over the experts.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w;  b c -> b o for a linear layer
    Math:    y = (sum_i a_i W_i) * x        a = softmax(W2 relu(W1 mean_hw(x)) / tau)
             W1: c -> d,  W2: d -> n,  d = max(1, c // r)
    Params:  n k² o c / g + c d + d + d n + n;  n o more with bias
    MACs:    k² o c h' w' / g + c d + d n + n k² o c / g;  n o more with bias
    Source:  Chen et al., Dynamic Convolution: Attention over Convolution Kernels, CVPR 2020, eq. 2-3. arXiv:1912.03458
    Departs: the biases of W1 and W2 are on, as in common code.
    Start:   experts N(0, 2 g / (k² o)), as in CondConv, W1 and W2 as PyTorch does, U(-b, b) with b = 1 / sqrt(inputs);
             the paper does not state it, and we know of no code of its authors.

    tau starts at `temperature`, so that all experts train, and `composer.anneal` lowers it in equal steps to 1 over the
    first `annealing_epochs` epochs. It is a buffer, saved with the weights.
    `num_experts` is n, `reduction` is r.

    >>> sum(p.numel() for p in DynamicConv(16, 32).parameters())
    18520
    """

    name = "dynconv"

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        kernel_size: Size = 3,
        stride: Size = 1,
        padding: Padding | None = None,
        dilation: Size = 1,
        groups: PositiveInt = 1,
        bias: bool = False,
        *,
        num_experts: PositiveInt = 4,
        reduction: PositiveInt = 4,
        temperature: PositiveFloat = 30.0,
        annealing_epochs: NonNegativeInt = 10,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, num_experts)
        hidden = max(1, in_channels // reduction)
        self.fc1 = nn.Linear(in_channels, hidden)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(hidden, num_experts)
        self.start_at(temperature, annealing_epochs)

    def attention(self, x: Tensor) -> Tensor:
        """The weight of each expert, b n, at least float32; sums to 1."""
        logits = self.fc2(self.act(self.fc1(pooled(x))))
        return (at_least_float32(logits) / self.temperature).softmax(1)

    @fused(convolved_by_outputs, where=outputs_are_few, in_inference=True)
    def convolve(self, x: Tensor, mix: Tensor) -> Tensor:
        """The convolution of x with `mix`: b c h w, b experts -> b o h' w'; or b c -> b o, as maps of one position."""
        return convolve_each(x, mix, self.weight, self.bias, self.shape, self.settings)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.attention(x).to(self.weight.dtype))
