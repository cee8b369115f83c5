"""Convolutions."""

from __future__ import annotations

from typing import Literal

from torch import nn

from composer.options import NonNegativeInt, PositiveInt
from composer.registry import layer


@layer("conv2d", kind="conv", layout="b c h w -> b c h w")
class Conv2d(nn.Conv2d):
    """Convolve a feature map; without a padding, one that keeps the size of an odd kernel at stride 1.

    Shape:   b c h w -> b o h' w'        h' = (h + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1
    Params:  k² c o / groups, and o with bias

    `init: he` draws weights from N(0, 2 / (k² o)) (He et al., ICCV 2015) and `trunc_normal` from N(0, 0.02²), bias 0;
    `torch` is PyTorch's own.
    Raises ValueError where groups divides one of the channel numbers with a remainder.

    >>> sum(p.numel() for p in Conv2d(8, out_channels=16, kernel_size=3).parameters())
    1152
    """

    def __init__(
        self,
        in_channels: int,
        *,
        out_channels: PositiveInt,
        kernel_size: PositiveInt | tuple[PositiveInt, PositiveInt],
        stride: PositiveInt | tuple[PositiveInt, PositiveInt] = 1,
        padding: NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt] | None = None,
        dilation: PositiveInt | tuple[PositiveInt, PositiveInt] = 1,
        groups: PositiveInt = 1,
        bias: bool = False,
        init: Literal["he", "torch", "trunc_normal"] = "he",
    ):
        for what, channels in (("input", in_channels), ("output", out_channels)):
            if channels % groups:
                raise ValueError(
                    f"{channels} {what} channels do not divide into {groups} groups; "
                    f"set groups to a divisor of {channels}"
                )
        # nn.Conv2d calls reset_parameters while it is being built.
        self.init = init
        if padding is None:
            (rows, columns), (down, across) = _pair(kernel_size), _pair(dilation)
            padding = (down * (rows - 1) // 2, across * (columns - 1) // 2)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        if self.init == "torch":
            super().reset_parameters()
            return
        if self.init == "he":
            nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        else:
            nn.init.trunc_normal_(self.weight, std=0.02)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
