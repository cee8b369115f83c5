"""SK: selective kernels. Li et al., Selective Kernel Networks, CVPR 2019."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from composer.arithmetic import pair
from composer.kernels import fused
from composer.kernels.channel import selected_by_mean
from composer.kernels.passes import is_large
from composer.mechanisms.shared.divisors import check_groups
from composer.mechanisms.shared.pooled_norm import PooledNorm, pooled_norm
from composer.mechanisms.shared.precision import at_least_float32
from composer.options import Padding, PositiveInt, Size
from composer.registry import mechanism

# A branch that reaches beyond the map sees only its centre; 32 is an arbitrary limit.
Branches = Annotated[int, Field(gt=0, le=32)]


@mechanism(
    "sk", kind="branch", replaces="conv-norm-act", aliases=("sk-net", "selective kernel", "SKConv", "SelectiveKernel")
)
class SelectiveKernel(nn.Module):
    """Convolve in branches with growing dilation and let each channel choose softly among them.

    Shape:   b c h w -> b o h' w'        h' w': what the convolution makes of h w
    Math:    U_l = relu(BN(conv_l(x)))        l = 1..m, dilation l
             a = softmax_l(W_l relu(BN(W mean_hw(sum_l U_l))))        W: o -> d,  W_l: d -> o,  d = max(o // r, floor)
             y = sum_l a_l * U_l
    Params:  m (k² o c / g + 2o) + o d + 2d + m o d
    MACs:    m k² o c h' w' / g + o d + m o d
    Source:  Li et al., Selective Kernel Networks, CVPR 2019, eq. 1-6. arXiv:1903.06586
    Departs: a single branch is gated by a sigmoid, since a softmax over one value is always 1.
    Start:   the authors' files: branches N(0, 2 / (k² c / g)) (Caffe's `msra`), W and W_l N(0, 0.01²). `init: he` is
             timm's: N(0, 2 / (k² outputs)) for all.

    Norm and activation are inside and nothing follows the sum; weights have timm's names. Strides, groups and the
    host's own dilation apply to every branch, and each is padded to the size of the host's output. In training mode it
    needs a batch of at least 2, since the batch norm of the pooled features raises ValueError over one value;
    `norm: layer` and `norm: none` do not.
    `branches` is m, `reduction` is r.

    >>> sum(p.numel() for p in SelectiveKernel(64, 64, groups=32).parameters())
    8768
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
        *,
        branches: Branches = 2,
        reduction: PositiveInt = 16,
        floor: PositiveInt = 32,
        norm: PooledNorm = "batch",
        init: Literal["authors", "he"] = "authors",
    ):
        super().__init__()
        check_groups("sk", in_channels, out_channels, groups)
        kernel, step = pair(kernel_size), pair(dilation)
        if any(length % 2 == 0 for length in kernel):
            found = "x".join(map(str, kernel))
            raise ValueError(f"sk: the convolution's kernel is {found}; replace one that is odd, such as 3x3")
        # A branch reaches further than the host, and gets as much more padding, so that its output has the same size.
        reach = (step[0] * (kernel[0] // 2), step[1] * (kernel[1] // 2))
        around = reach if padding is None else pair(padding)
        self.paths = nn.ModuleList()
        for branch in range(branches):
            conv = nn.Conv2d(
                in_channels,
                out_channels,
                kernel,
                stride,
                padding=(around[0] + branch * reach[0], around[1] + branch * reach[1]),
                dilation=((branch + 1) * step[0], (branch + 1) * step[1]),
                groups=groups,
                bias=False,
            )
            layers = {"conv": conv, "bn": nn.BatchNorm2d(out_channels), "act": nn.ReLU()}
            self.paths.append(nn.Sequential(OrderedDict(layers)))
        hidden = max(out_channels // reduction, floor)
        fuse = {
            "fc_reduce": nn.Conv2d(out_channels, hidden, 1, bias=False),
            "bn": pooled_norm(norm, hidden),
            "act": nn.ReLU(),
            "fc_select": nn.Conv2d(hidden, branches * out_channels, 1, bias=False),
        }
        self.attn = nn.Sequential(OrderedDict(fuse))
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d) and init == "authors" and name.startswith("attn."):
                nn.init.normal_(layer.weight, std=0.01)
            elif isinstance(layer, nn.Conv2d):
                mode = "fan_in" if init == "authors" else "fan_out"
                nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]

    def _split(self, x: Tensor) -> list[Tensor]:
        return [path(x) for path in self.paths]

    def excite(self, s: Tensor) -> Tensor:
        """The share of each branch, b m o 1 1, from the mean of their sum, b o 1 1."""
        logits = self.attn(s).unflatten(1, (len(self.paths), -1))
        return at_least_float32(logits).softmax(1) if len(self.paths) > 1 else logits.sigmoid()

    def attention(self, x: Tensor) -> Tensor:
        """The share of each branch, b m o 1 1; sums to 1 over m (one branch: in (0, 1))."""
        return self.excite(mean_of_sum(self._split(x)))

    @fused(selected_by_mean, where=is_large)
    def _chosen(self, *features: Tensor) -> Tensor:
        weights = self.excite(mean_of_sum(features)).to(features[0].dtype)
        return weighted_sum(weights.unbind(1), features)

    def forward(self, x: Tensor) -> Tensor:
        return self._chosen(*self._split(x))


def mean_of_sum(features: Sequence[Tensor]) -> Tensor:
    """mean_hw(sum_l u_l): b o h w each -> b o 1 1. In half precision a sum of maps would lose digits."""
    if features[0].dtype in (torch.float16, torch.bfloat16):
        first, *others = (u.mean((2, 3), keepdim=True) for u in features)
        return sum(others, first)
    return sum(features[1:], features[0]).mean((2, 3), keepdim=True)


def weighted_sum(weights: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
    """sum_l a_l * u_l, computed one product at a time to save memory."""
    y = weights[0] * features[0]
    for a, u in zip(weights[1:], features[1:], strict=True):
        y += a * u
    return y


torch.fx.wrap("weighted_sum")
torch.fx.wrap("at_least_float32")
torch.fx.wrap("mean_of_sum")
