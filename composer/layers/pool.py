"""Pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from composer.arithmetic import Each, lengths, same_paddings
from composer.options import Lengths, Paddings, PositiveInt
from composer.registry import MAPS, layer


@layer("max_pool", kind="pool", layout="b c * -> b c *", draws=False)
def max_pool(
    spatial_dims: int = 2,
    *,
    kernel_size: Lengths,
    stride: Lengths | None = None,
    padding: Paddings | None = None,
    ceil_mode: bool = False,
) -> nn.MaxPool2d | nn.MaxPool1d | nn.MaxPool3d:
    """The maximum over windows; by default stride is kernel_size, and padding is (kernel_size - 1) // 2.

    Shape:   b c h w -> b c h' w';  the same for b c l and b c t h w
             h' = (h + 2 padding - kernel_size) // stride + 1

    `ceil_mode: true` rounds h' and w' up. `[1, 2, 2]` has a number for each axis.
    """
    zeros = _checked(kernel_size, stride, padding, spatial_dims)
    made: nn.MaxPool2d = _MAX_POOLS[spatial_dims](kernel_size, stride, zeros, ceil_mode=ceil_mode)
    return made


@layer("avg_pool", kind="pool", layout="b c * -> b c *", draws=False)
def avg_pool(
    spatial_dims: int = 2,
    *,
    kernel_size: Lengths,
    stride: Lengths | None = None,
    padding: Paddings | None = None,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> nn.AvgPool2d | nn.AvgPool1d | nn.AvgPool3d:
    """The mean over windows; by default stride is kernel_size, and padding is (kernel_size - 1) // 2.

    Shape:   b c h w -> b c h' w';  the same for b c l and b c t h w
             h' = (h + 2 padding - kernel_size) // stride + 1

    `count_include_pad: false` leaves the padded zeros out of the mean; `ceil_mode: true` rounds h' and w' up. `[1, 2,
    2]` has a number for each axis.
    """
    zeros = _checked(kernel_size, stride, padding, spatial_dims)
    made: nn.AvgPool2d = _AVG_POOLS[spatial_dims](kernel_size, stride, zeros, ceil_mode, count_include_pad)
    return made


# PyTorch's class per number of axes.
_MAX_POOLS: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVG_POOLS: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}


def _checked(kernel_size: Each, stride: Each | None, padding: Each | None, spatial_dims: int) -> Each:
    """The padding. Raises ValueError for lengths that do not fit the axes, and for more zeros than PyTorch allows."""
    sizes = lengths(kernel_size, spatial_dims)
    lengths(stride or 1, spatial_dims)
    if padding is None:
        return (kernel_size - 1) // 2 if isinstance(kernel_size, int) else same_paddings(kernel_size, 1, spatial_dims)
    for length, zeros in zip(sizes, lengths(padding, spatial_dims), strict=True):
        if zeros > length // 2:
            raise ValueError(
                f"padding {zeros} is more than half of kernel_size {length}; set padding to {length // 2} or less"
            )
    return padding


# A length for all axes, or one for each; null keeps that of the input.
_OutputSize = (
    PositiveInt
    | tuple[PositiveInt | None, PositiveInt | None]
    | tuple[PositiveInt | None, PositiveInt | None, PositiveInt | None]
)
_ADAPTIVE_AVG_POOLS: dict[int, Any] = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_ADAPTIVE_MAX_POOLS: dict[int, Any] = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}


@layer("adaptive_avg_pool", kind="pool", layout="b c * -> b c *", draws=False)
def adaptive_avg_pool(
    spatial_dims: int = 2, *, output_size: _OutputSize
) -> nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool3d:
    """The mean over as many windows as make a map of `output_size`, for a map of any size.

    Shape:   b c h w -> b c h' w'        output_size = h', both equal, or (h', w'); null keeps the side as it is
             the same for b c l and b c t h w

    Row i of h' is the mean of rows floor(i h / h') up to ceil((i + 1) h / h') of h.
    """
    _check_output_size(output_size, spatial_dims)
    made: nn.AdaptiveAvgPool2d = _ADAPTIVE_AVG_POOLS[spatial_dims](output_size)
    return made


@layer("adaptive_max_pool", kind="pool", layout="b c * -> b c *", draws=False)
def adaptive_max_pool(
    spatial_dims: int = 2, *, output_size: _OutputSize
) -> nn.AdaptiveMaxPool2d | nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool3d:
    """The maximum over as many windows as make a map of `output_size`, for a map of any size.

    Shape:   b c h w -> b c h' w'        output_size = h', both equal, or (h', w'); null keeps the side as it is
             the same for b c l and b c t h w

    The windows are those of adaptive_avg_pool.
    """
    _check_output_size(output_size, spatial_dims)
    made: nn.AdaptiveMaxPool2d = _ADAPTIVE_MAX_POOLS[spatial_dims](output_size)
    return made


def _check_output_size(output_size: int | tuple[int | None, ...], spatial_dims: int) -> None:
    if not isinstance(output_size, int):
        lengths(tuple(length or 1 for length in output_size), spatial_dims)


@layer("at_least", kind="pool", layout="b c h w -> b c h w", draws=False)
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
        if found not in MAPS:
            hint = "use mean_tokens for `b n c`" if name == "global_avg_pool" else "rearrange it"
            raise ValueError(f"`{name}` works on {', '.join(f'`{one}`' for one in MAPS)}, found `{found}`; {hint}")
        return found if keepdim else "b c"

    return layout


class _GlobalPool(nn.Module):
    """One number per channel, from all positions."""

    # The maps with as many positions on each axis as the second argument says. Its function is looked up at each call:
    # tools that count put their own in its place.
    pool: Callable[[Tensor, int], Tensor]

    def __init__(self, *, keepdim: bool = False):
        super().__init__()
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(x, 1)
        return pooled if self.keepdim else pooled.flatten(1)

    def extra_repr(self) -> str:
        return f"keepdim={self.keepdim}"


# Quantisers know pooling but not a mean; the numbers are the same.
class GlobalAvgPool1d(_GlobalPool):
    """The mean of each channel of b c l."""

    def pool(self, x: Tensor, size: int) -> Tensor:
        return F.adaptive_avg_pool1d(x, size)


class GlobalAvgPool2d(_GlobalPool):
    """The mean of each channel of b c h w."""

    def pool(self, x: Tensor, size: int) -> Tensor:
        return F.adaptive_avg_pool2d(x, size)


class GlobalAvgPool3d(_GlobalPool):
    """The mean of each channel of b c t h w."""

    def pool(self, x: Tensor, size: int) -> Tensor:
        return F.adaptive_avg_pool3d(x, size)


class GlobalMaxPool1d(_GlobalPool):
    """The maximum of each channel of b c l."""

    def pool(self, x: Tensor, size: int) -> Tensor:
        return F.adaptive_max_pool1d(x, size)


class GlobalMaxPool2d(_GlobalPool):
    """The maximum of each channel of b c h w."""

    def pool(self, x: Tensor, size: int) -> Tensor:
        return F.adaptive_max_pool2d(x, size)


class GlobalMaxPool3d(_GlobalPool):
    """The maximum of each channel of b c t h w."""

    def pool(self, x: Tensor, size: int) -> Tensor:
        return F.adaptive_max_pool3d(x, size)


_GLOBAL_AVG_POOLS: dict[int, Any] = {1: GlobalAvgPool1d, 2: GlobalAvgPool2d, 3: GlobalAvgPool3d}
_GLOBAL_MAX_POOLS: dict[int, Any] = {1: GlobalMaxPool1d, 2: GlobalMaxPool2d, 3: GlobalMaxPool3d}


@layer("global_avg_pool", kind="pool", layout=_pooled("global_avg_pool"), draws=False)
def global_avg_pool(
    spatial_dims: int = 2, *, keepdim: bool = False
) -> GlobalAvgPool2d | GlobalAvgPool1d | GlobalAvgPool3d:
    """The mean of each channel over all positions.

    Shape:   b c h w -> b c;  b c h w -> b c 1 1 with keepdim;  the same for b c l and b c t h w
    """
    made: GlobalAvgPool2d = _GLOBAL_AVG_POOLS[spatial_dims](keepdim=keepdim)
    return made


@layer("global_max_pool", kind="pool", layout=_pooled("global_max_pool"), draws=False)
def global_max_pool(
    spatial_dims: int = 2, *, keepdim: bool = False
) -> GlobalMaxPool2d | GlobalMaxPool1d | GlobalMaxPool3d:
    """The maximum of each channel over all positions.

    Shape:   b c h w -> b c;  b c h w -> b c 1 1 with keepdim;  the same for b c l and b c t h w
    """
    made: GlobalMaxPool2d = _GLOBAL_MAX_POOLS[spatial_dims](keepdim=keepdim)
    return made
