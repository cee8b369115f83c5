"""Convolutions."""

from __future__ import annotations

from torch import nn

from composer.arithmetic import pair, same_padding, same_paddings, undivided
from composer.layers.init import BiasLaw, ConvLaw, TransposedLaw, fill, undrawn
from composer.options import NonNegativeInt, Padding, Padding3d, PositiveFloat, PositiveInt, Size, Size3d
from composer.registry import layer


@layer("conv2d", kind="conv", layout="b c h w -> b c h w", draws=False)
def conv2d(
    in_channels: int,
    *,
    out_channels: PositiveInt,
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding | None = None,
    dilation: Size = 1,
    groups: PositiveInt = 1,
    bias: bool = False,
    init: ConvLaw = "he",
    std: PositiveFloat = 0.02,
    bias_init: BiasLaw | None = None,
) -> nn.Conv2d:
    """Convolve a feature map; by default the padding keeps the map's size for an odd kernel at stride 1.

    Shape:   b c h w -> b o h' w'        h' = (h + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1
    Params:  k² c o / groups, and o with bias

    `init` says how weights are drawn: `he` from N(0, 2 / (k² o)) (He et al., ICCV 2015), `he_per_group` from
    N(0, 2 groups / (k² o)), `he_fan_in` from N(0, 2 groups / (k² c)), `lecun_normal` with variance groups / (k² c), cut
    off at two deviations, `normal` and `trunc_normal` from N(0, std²), `xavier_uniform` and `xavier_normal` as
    PyTorch's, `zeros` all 0; `torch` is PyTorch's own. k is `kernel_size`, o is `out_channels`. `bias_init` is that of
    linear.
    Raises ValueError unless `groups` divides both numbers of channels.

    >>> sum(p.numel() for p in conv2d(8, out_channels=16, kernel_size=3).parameters())
    1152
    """
    check_groups(in_channels, out_channels, groups)
    if padding is None:
        padding = same_padding(kernel_size, dilation)
    arguments = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
    return fill(undrawn(nn.Conv2d, *arguments), init, std, bias_init)


@layer("conv1d", kind="conv", layout="b c l -> b c l", draws=False)
def conv1d(
    in_channels: int,
    *,
    out_channels: PositiveInt,
    kernel_size: PositiveInt,
    stride: PositiveInt = 1,
    padding: NonNegativeInt | None = None,
    dilation: PositiveInt = 1,
    groups: PositiveInt = 1,
    bias: bool = False,
    init: ConvLaw = "he",
    std: PositiveFloat = 0.02,
    bias_init: BiasLaw | None = None,
) -> nn.Conv1d:
    """Convolve a sequence; by default the padding keeps its length for an odd kernel at stride 1.

    Shape:   b c l -> b o l'        l' = (l + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1
    Params:  k c o / groups, and o with bias

    `init` and `bias_init` are those of conv2d, with k for k². Raises ValueError unless `groups` divides both numbers of
    channels.

    >>> sum(p.numel() for p in conv1d(8, out_channels=16, kernel_size=3).parameters())
    384
    """
    check_groups(in_channels, out_channels, groups)
    if padding is None:
        padding = dilation * (kernel_size - 1) // 2
    arguments = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
    return fill(undrawn(nn.Conv1d, *arguments), init, std, bias_init)


@layer("conv3d", kind="conv", layout="b c t h w -> b c t h w", draws=False)
def conv3d(
    in_channels: int,
    *,
    out_channels: PositiveInt,
    kernel_size: Size3d,
    stride: Size3d = 1,
    padding: Padding3d | None = None,
    dilation: Size3d = 1,
    groups: PositiveInt = 1,
    bias: bool = False,
    init: ConvLaw = "he",
    std: PositiveFloat = 0.02,
    bias_init: BiasLaw | None = None,
) -> nn.Conv3d:
    """Convolve a video or volume; by default the padding keeps its size for an odd kernel at stride 1.

    Shape:   b c t h w -> b o t' h' w'        t' = (t + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1
    Params:  k³ c o / groups, and o with bias

    `[1, 3, 3]` has a number each for frames, rows and columns. `init` and `bias_init` are those of conv2d, with k³ for
    k². Raises ValueError unless `groups` divides both numbers of channels.

    >>> sum(p.numel() for p in conv3d(8, out_channels=16, kernel_size=(1, 3, 3)).parameters())
    1152
    """
    check_groups(in_channels, out_channels, groups)
    if padding is None:
        frames, rows, columns = same_paddings(kernel_size, dilation, 3)
        padding = (frames, rows, columns)
    arguments = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
    return fill(undrawn(nn.Conv3d, *arguments), init, std, bias_init)


@layer("conv_transpose2d", kind="conv", layout="b c h w -> b c h w", draws=False)
def conv_transpose2d(
    in_channels: int,
    *,
    out_channels: PositiveInt,
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding | None = None,
    output_padding: Padding = 0,
    groups: PositiveInt = 1,
    bias: bool = False,
    dilation: Size = 1,
    init: TransposedLaw = "torch",
    std: PositiveFloat = 0.02,
    bias_init: BiasLaw | None = None,
) -> nn.ConvTranspose2d:
    """Convolve transposed, to a larger map: kernel_size 2 or 4 with stride 2 doubles height and width.

    Shape:   b c h w -> b o h' w'
             h' = (h - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1
    Params:  k² c o / groups, and o with bias

    By default the padding is dilation (kernel_size - 1) // 2, as of conv2d. `init` says how weights are drawn: `torch`
    is PyTorch's own, the others are those of conv2d. k is `kernel_size`, o is `out_channels`. `bias_init` is that of
    linear.
    Raises ValueError unless `groups` divides both numbers of channels and `output_padding` is below stride or dilation.

    >>> sum(p.numel() for p in conv_transpose2d(8, out_channels=4, kernel_size=2, stride=2).parameters())
    128
    """
    check_groups(in_channels, out_channels, groups)
    if padding is None:
        padding = same_padding(kernel_size, dilation)
    for extra, step, spread in zip(pair(output_padding), pair(stride), pair(dilation), strict=True):
        if extra >= max(step, spread):
            raise ValueError(
                f"output_padding {extra} is not below stride {step} or dilation {spread}; "
                f"set output_padding to {max(step, spread) - 1} or less"
            )
    arguments = (kernel_size, stride, padding, output_padding, groups, bias, dilation)
    return fill(undrawn(nn.ConvTranspose2d, in_channels, out_channels, *arguments), init, std, bias_init)


def check_groups(in_channels: int, out_channels: int, groups: int) -> None:
    """Raises ValueError unless `groups` divides both numbers of channels."""
    for channels, text in undivided(in_channels, out_channels, groups):
        raise ValueError(f"{text}; set groups to a divisor of {channels}")
