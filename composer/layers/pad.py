"""Zero padding of feature maps."""

from __future__ import annotations

import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn

from composer.options import NonNegativeInt, PositiveInt
from composer.registry import layer


@layer("zero_pad", kind="pad", layout="b c h w -> b c h w")
def zero_pad(
    *, left: NonNegativeInt = 0, right: NonNegativeInt = 0, top: NonNegativeInt = 0, bottom: NonNegativeInt = 0
) -> nn.ZeroPad2d:
    """Put rows and columns of zeros around a feature map.

    Shape:   b c h w -> b c (top + h + bottom) (left + w + right)
    """
    return nn.ZeroPad2d((left, right, top, bottom))


@layer("same_pad", kind="pad", layout="b c h w -> b c h w")
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
