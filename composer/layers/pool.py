"""Pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from composer.arithmetic import Both, pair, same_padding
from composer.options import Padding, PositiveInt, Size
from composer.registry import layer


@layer("max_pool", kind="pool", layout="b c h w -> b c h w")
def max_pool(
    *,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding | None = None,
    ceil_mode: bool = False,
) -> nn.MaxPool2d:
    """The maximum over windows; by default stride is kernel_size, and padding is (kernel_size - 1) // 2.

    Shape:   b c h w -> b c h' w'        h' = (h + 2 padding - kernel_size) // stride + 1

    `ceil_mode: true` rounds h' and w' up.
    """
    return nn.MaxPool2d(kernel_size, stride, _checked_padding(kernel_size, padding), ceil_mode=ceil_mode)


@layer("avg_pool", kind="pool", layout="b c h w -> b c h w")
def avg_pool(
    *,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding | None = None,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> nn.AvgPool2d:
    """The mean over windows; by default stride is kernel_size, and padding is (kernel_size - 1) // 2.

    Shape:   b c h w -> b c h' w'        h' = (h + 2 padding - kernel_size) // stride + 1

    `count_include_pad: false` leaves the padded zeros out of the mean; `ceil_mode: true` rounds h' and w' up.
    """
    padding = _checked_padding(kernel_size, padding)
    return nn.AvgPool2d(kernel_size, stride, padding, ceil_mode, count_include_pad)


def _checked_padding(kernel_size: Both, padding: Both | None) -> Both:
    if padding is None:
        return (kernel_size - 1) // 2 if isinstance(kernel_size, int) else same_padding(kernel_size, 1)
    for length, zeros in zip(pair(kernel_size), pair(padding), strict=True):
        if zeros > length // 2:
            raise ValueError(
                f"padding {zeros} is more than half of kernel_size {length}; set padding to {length // 2} or less"
            )
    return padding


# A number of rows and columns; null keeps that of the input.
_OutputSize = PositiveInt | tuple[PositiveInt | None, PositiveInt | None]


@layer("adaptive_avg_pool", kind="pool", layout="b c h w -> b c h w")
def adaptive_avg_pool(*, output_size: _OutputSize) -> nn.AdaptiveAvgPool2d:
    """The mean over as many windows as make a map of `output_size`, for a map of any size.

    Shape:   b c h w -> b c h' w'        output_size = h', both equal, or (h', w'); null keeps the side as it is

    Row i of h' is the mean of rows floor(i h / h') up to ceil((i + 1) h / h') of h.
    """
    return nn.AdaptiveAvgPool2d(output_size)


@layer("adaptive_max_pool", kind="pool", layout="b c h w -> b c h w")
def adaptive_max_pool(*, output_size: _OutputSize) -> nn.AdaptiveMaxPool2d:
    """The maximum over as many windows as make a map of `output_size`, for a map of any size.

    Shape:   b c h w -> b c h' w'        output_size = h', both equal, or (h', w'); null keeps the side as it is

    The windows are those of adaptive_avg_pool.
    """
    return nn.AdaptiveMaxPool2d(output_size)


@layer("at_least", kind="pool", layout="b c h w -> b c h w")
class AtLeast(nn.Module):
    """A map of at least size × size: a shorter side is stretched by adaptive average pooling, other sides stay.

    Shape:   b c h w -> b c max(h, size) max(w, size)

    >>> import torch
    >>> AtLeast(size=7)(torch.zeros(1, 1, 3, 9)).shape
    torch.Size([1, 1, 7, 9])
    """

    def __init__(self, *, size: PositiveInt):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return _stretched(x, self.size)

    def extra_repr(self) -> str:
        return f"size={self.size}"


def _stretched(x: Tensor, size: int) -> Tensor:
    height, width = x.shape[2:]
    if min(height, width) >= size:
        return x
    return F.adaptive_avg_pool2d(x, (max(height, size), max(width, size)))


# Not traced: sizes are not known in a symbolic trace.
torch.fx.wrap("_stretched")


def _pooled(name: str) -> Callable[..., str]:
    def layout(inputs: Sequence[Any], *, keepdim: bool = False) -> str:
        found = inputs[0].layout
        if found != "b c h w":
            hint = "use mean_tokens for `b n c`" if name == "global_avg_pool" else "rearrange it"
            raise ValueError(f"`{name}` works on `b c h w`, found `{found}`; {hint}")
        return "b c h w" if keepdim else "b c"

    return layout


@layer("global_avg_pool", kind="pool", layout=_pooled("global_avg_pool"))
class GlobalAvgPool2d(nn.Module):
    """The mean of each channel over all positions.

    Shape:   b c h w -> b c;  b c h w -> b c 1 1 with keepdim
    """

    def __init__(self, *, keepdim: bool = False):
        super().__init__()
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        # Quantisers know pooling but not a mean; the numbers are the same.
        pooled = F.adaptive_avg_pool2d(x, 1)
        return pooled if self.keepdim else pooled.flatten(1)

    def extra_repr(self) -> str:
        return f"keepdim={self.keepdim}"


@layer("global_max_pool", kind="pool", layout=_pooled("global_max_pool"))
class GlobalMaxPool2d(nn.Module):
    """The maximum of each channel over all positions.

    Shape:   b c h w -> b c;  b c h w -> b c 1 1 with keepdim
    """

    def __init__(self, *, keepdim: bool = False):
        super().__init__()
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.adaptive_max_pool2d(x, 1)
        return pooled if self.keepdim else pooled.flatten(1)

    def extra_repr(self) -> str:
        return f"keepdim={self.keepdim}"
