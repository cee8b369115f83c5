"""CondConv: conditionally parameterised convolution. Yang et al., CondConv, NeurIPS 2019."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.mechanisms.divisors import check_groups
from composer.mechanisms.splat import same_padding
from composer.options import Padding, PositiveInt, Size
from composer.registry import mechanism


class ExpertConv2d(nn.Module):
    """A convolution whose kernel is mixed from experts, for each sample by weights of its own.

    `weight` is experts × (o c/g k k), as in timm, so that mixing is one matrix product.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: PositiveInt,
        kernel_size: Size,
        stride: Size,
        padding: Padding | None,
        dilation: Size,
        groups: int,
        bias: bool,
        num_experts: int,
    ):
        super().__init__()
        check_groups("condconv", in_channels, out_channels, groups)
        rows, columns = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        self.shape = (out_channels, in_channels // groups, rows, columns)
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding = same_padding(kernel_size, dilation) if padding is None else padding
        self.weight = nn.Parameter(torch.empty(num_experts, math.prod(self.shape)))
        self.bias = nn.Parameter(torch.zeros(num_experts, out_channels)) if bias else None
        # Each expert starts as a convolution of its own would (He et al.).
        nn.init.normal_(self.weight, std=math.sqrt(2 / (out_channels * rows * columns)))

    def convolve(self, x: Tensor, mix: Tensor) -> Tensor:
        """b c h w and b experts -> b o h' w'"""
        if x.shape[0] == 0:
            # No groups to fold the batch into; the first expert gives the shape.
            return self._apply_kernels(x, self.weight[0], None, 1)
        if torch.onnx.is_in_onnx_export():
            return self._mix_outputs(x, mix)
        kernels = mix.to(self.weight.dtype) @ self.weight
        bias = None if self.bias is None else (mix.to(self.bias.dtype) @ self.bias).flatten()
        # The whole batch as one image, its samples as groups.
        y = self._apply_kernels(x.reshape(1, -1, *x.shape[2:]), kernels, bias, x.shape[0])
        return y.reshape(x.shape[0], self.shape[0], *y.shape[2:])

    def _mix_outputs(self, x: Tensor, mix: Tensor) -> Tensor:
        """The same by mixing each expert's output: ONNX has no convolution with as many groups as samples."""
        experts, outputs = len(self.weight), self.shape[0]
        kernels = self.weight.reshape(experts, self.groups, -1, *self.shape[1:]).transpose(0, 1)
        kernels = kernels.reshape(experts * outputs, *self.shape[1:])
        y = F.conv2d(x, kernels, None, self.stride, self.padding, self.dilation, self.groups)
        y = y.unflatten(1, (self.groups, experts, outputs // self.groups))
        y = (y * mix.to(y.dtype)[:, None, :, None, None, None]).sum(2).flatten(1, 2)
        return y if self.bias is None else y + (mix.to(self.bias.dtype) @ self.bias)[:, :, None, None]

    def _apply_kernels(self, x: Tensor, kernels: Tensor, bias: Tensor | None, samples: int) -> Tensor:
        kernels = kernels.reshape(-1, *self.shape[1:])
        return F.conv2d(x, kernels, bias, self.stride, self.padding, self.dilation, samples * self.groups)


@mechanism("condconv", kind="kernel", replaces="conv")
class CondConv(ExpertConv2d):
    """Convolve each sample with a kernel of its own, a sum of experts weighted by gates from the pooled input.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w
    Math:    y = (sum_i a_i W_i) * x        a = sigmoid(R mean_hw(x)),  R: c -> n
    Params:  n k² o c / g + n (c + 1);  n o more with bias;  n (c + 1) less with a given router
    MACs:    k² o c h' w' / g + n c + n k² o c / g;  n o more with bias;  n c less with a given router
    Source:  Yang et al., CondConv: Conditionally Parameterized Convolutions, NeurIPS 2019, eq. 1-2. arXiv:1904.04971
    Departs: nothing. The gates are not normalised.

    `router: given` has no R: the gates come as a second input, b n, so that the convolutions of a block can share a
    `condconv_router`.

    >>> sum(p.numel() for p in CondConv(16, 32).parameters())
    37000
    """

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
        num_experts: PositiveInt = 8,
        router: Literal["own", "given"] = "own",
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, num_experts)
        self.router = nn.Linear(in_channels, num_experts) if router == "own" else None

    def attention(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        """The weight of each expert, b n, in (0, 1)."""
        if self.router is None:
            if gates is None:
                raise ValueError("condconv: `router: given` takes the gates as a second input")
            return gates
        return self.router(x.mean((2, 3))).sigmoid()

    def forward(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        return self.convolve(x, self.attention(x, gates))
