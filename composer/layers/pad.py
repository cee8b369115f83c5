"""Zeros around feature maps, and parts of maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from composer.arithmetic import pair
from composer.options import NonNegativeInt, PositiveInt, Size
from composer.registry import layer


@layer("zero_pad", kind="pad", layout="b c h w -> b c h w", draws=False)
def zero_pad(
    *, left: NonNegativeInt = 0, right: NonNegativeInt = 0, top: NonNegativeInt = 0, bottom: NonNegativeInt = 0
) -> nn.ZeroPad2d:
    """Put rows and columns of zeros around a feature map.

    Shape:   b c h w -> b c (top + h + bottom) (left + w + right)
    """
    return nn.ZeroPad2d((left, right, top, bottom))


@layer("same_pad", kind="pad", layout="b c h w -> b c h w", draws=False)
class SamePad2d(nn.Module):
    """Pad with zeros as TensorFlow's SAME padding, before a convolution with `padding: 0`.

    Shape:   b c h w -> b c h' w'        h' = max(h, stride (ceil(h / stride) - 1) + dilation (kernel_size - 1) + 1)

    The fewest zeros that give the convolution ceil(h / stride) outputs; an odd number has its larger half at the end. A
    stride then has other centres than with the symmetric padding of conv2d.

    >>> import torch
    >>> SamePad2d(kernel_size=3, stride=2)(torch.ones(1, 1, 2, 4))[0, 0]
    tensor([[1., 1., 1., 1., 0.],
            [1., 1., 1., 1., 0.],
            [0., 0., 0., 0., 0.]])
    """

    def __init__(self, *, kernel_size: PositiveInt, stride: PositiveInt = 1, dilation: PositiveInt = 1):
        super().__init__()
        self.reach, self.stride = dilation * (kernel_size - 1), stride

    def forward(self, x: Tensor) -> Tensor:
        return pad_same(x, self.reach, self.stride)

    def extra_repr(self) -> str:
        return f"reach={self.reach}, stride={self.stride}"


def pad_same(x: Tensor, reach: int, stride: int) -> Tensor:
    """A map with the fewest zeros around it that give ceil(size / stride) windows of 1 + `reach` pixels."""
    height, width = (max(reach - (length - 1) % stride, 0) for length in x.shape[2:])
    return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))


# Not traced: sizes are not known in a symbolic trace.
torch.fx.wrap("pad_same")


@layer("pad_to_multiple", kind="pad", layout="b c h w -> b c h w", draws=False)
class PadToMultiple2d(nn.Module):
    """Pad with zeros at the bottom and the right, to the next `multiple` of both sides; `crop` undoes it.

    Shape:   b c h w -> b c h' w'        h' = multiple ceil(h / multiple); `[rows, columns]` has one for each side

    >>> import torch
    >>> PadToMultiple2d(multiple=4)(torch.ones(1, 1, 3, 4))[0, 0]
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.],
            [1., 1., 1., 1.],
            [0., 0., 0., 0.]])
    """

    def __init__(self, *, multiple: Size):
        super().__init__()
        self.multiple = pair(multiple)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.multiple
        return F.pad(x, (0, -x.shape[3] % columns, 0, -x.shape[2] % rows))

    def extra_repr(self) -> str:
        return f"multiple={self.multiple}"


def _cropped_layout(inputs: Sequence[Any], *, align: str = "start") -> str:
    for tensor in inputs:
        if tensor.layout != "b c h w":
            raise ValueError(f"`crop` works on `b c h w`, found `{tensor.layout}`; rearrange it")
    (height, width), (rows, columns) = (tensor.shape[2:] for tensor in inputs)
    if rows > height or columns > width:
        raise ValueError(
            f"`crop` cannot cut {rows}×{columns} out of {height}×{width}; "
            "write the larger map first: `from: [large, small]`"
        )
    return "b c h w"


@layer("crop", kind="pad", layout=_cropped_layout)
def crop(x: Tensor, like: Tensor, *, align: Literal["start", "center"] = "start") -> Tensor:
    """The part of a map that has the height and width of a second one.

    Shape:   b c h w, b _ h' w' -> b c h' w'

    The part is at the upper left, so that it undoes zeros at the bottom and the right; `align: center` takes the
    middle, as U-Net does.

    >>> import torch
    >>> crop(torch.arange(5).expand(1, 1, 1, 5), torch.zeros(1, 1, 1, 2), align="center")
    tensor([[[[1, 2]]]])
    """
    height, width = like.shape[2:]
    if align == "start":
        return x[:, :, :height, :width]
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]


# Not traced: a traced shape cannot be unpacked.
torch.fx.wrap("crop")
