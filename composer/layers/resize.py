"""Feature maps of another height and width: interpolation, and channels as pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from composer.arithmetic import pair
from composer.options import PositiveFloat, PositiveInt, Size
from composer.registry import layer


def _resized_layout(
    inputs: Sequence[Any],
    *,
    size: Any = None,
    scale_factor: Any = None,
    multiple: Any = None,
    mode: str = "nearest",
    align_corners: Any = None,
) -> str:
    if len(inputs) not in (1, 2):
        raise ValueError(
            f"`upsample` takes 1 input, or 2 to get the size of the second, found {len(inputs)}; "
            "write `from: [low, high]`"
        )
    for tensor in inputs:
        if tensor.layout != "b c h w":
            raise ValueError(f"`upsample` works on `b c h w`, found `{tensor.layout}`; rearrange it")
    options = {"size": size, "scale_factor": scale_factor, "multiple": multiple}
    given = [name for name, value in options.items() if value is not None]
    if len(inputs) == 2 and given:
        raise ValueError(f"`upsample` of 2 inputs gives the size of the second; leave out {' and '.join(given)}")
    if len(inputs) == 1 and len(given) != 1:
        raise ValueError(
            f"`upsample` takes one of size, scale_factor and multiple, found {' and '.join(given) or 'none'}; "
            "set one of them, or write `from: [low, high]` for the size of `high`"
        )
    if align_corners is not None and mode.startswith("nearest"):
        raise ValueError(f"mode {mode} has no align_corners; leave it out, or set mode to bilinear or bicubic")
    return "b c h w"


@layer("upsample", kind="shape", layout=_resized_layout)
def upsample(
    *,
    size: Size | None = None,
    scale_factor: PositiveFloat | tuple[PositiveFloat, PositiveFloat] | None = None,
    multiple: Size | None = None,
    mode: Literal["nearest", "nearest-exact", "bilinear", "bicubic"] = "nearest",
    align_corners: bool | None = None,
) -> nn.Module:
    """Interpolate a feature map to a `size`, by a `scale_factor`, up to a `multiple`, or to the size of a second input.

    Shape:   b c h w -> b c h' w'        (h', w') = size, or floor(scale_factor (h, w)), or
                                         multiple ceil((h, w) / multiple)
             b c h w, b _ h' w' -> b c h' w'

    With one input, exactly one of `size`, `scale_factor` and `multiple` is needed; the first two are those of PyTorch's
    nn.Upsample, and a map whose sides are multiples already keeps its size. With `from: [low, high]` none is: the map
    `low` gets the height and width of `high`, whatever they are. Two numbers are for rows and columns.
    `align_corners`, for bilinear and bicubic, puts the outer pixels' centres onto each other.

    >>> upsample(scale_factor=2.0, mode="bilinear")
    Upsample(scale_factor=2.0, mode='bilinear')
    """
    if multiple is not None:
        return UpsampleToMultiple(multiple, mode=mode, align_corners=align_corners)
    if size is None and scale_factor is None:
        return UpsampleLike(mode=mode, align_corners=align_corners)
    return nn.Upsample(size, scale_factor, mode, align_corners)


class UpsampleLike(nn.Upsample):
    """Interpolate a feature map to the height and width of a second one."""

    def forward(self, input: Tensor, like: Tensor) -> Tensor:  # type: ignore[override]
        return F.interpolate(input, like.shape[2:], mode=self.mode, align_corners=self.align_corners)

    def extra_repr(self) -> str:
        return f"size=like.shape[2:], mode={self.mode!r}"


class UpsampleToMultiple(nn.Upsample):
    """Interpolate a feature map up to the next multiple of both sides.

    multiple  a number for both sides, or for rows and for columns
    options   `mode` and `align_corners` of nn.Upsample
    """

    def __init__(self, multiple: Size, **options: Any):
        super().__init__(**options)
        self.multiple = pair(multiple)

    def forward(self, input: Tensor) -> Tensor:
        rows, columns = self.multiple
        # Without an `if` for sizes that fit, because a trace does not know them; the numbers are the same.
        size = (-(-input.shape[2] // rows) * rows, -(-input.shape[3] // columns) * columns)
        return F.interpolate(input, size, mode=self.mode, align_corners=self.align_corners)

    def extra_repr(self) -> str:
        return f"multiple={self.multiple}, mode={self.mode!r}"


def _shuffled_layout(inputs: Sequence[Any], *, upscale_factor: int) -> str:
    found, channels = inputs[0].layout, inputs[0].channels
    if found != "b c h w":
        raise ValueError(f"`pixel_shuffle` works on `b c h w`, found `{found}`; rearrange it")
    if channels % upscale_factor**2:
        raise ValueError(
            f"`pixel_shuffle` cannot divide {channels} channels by {upscale_factor}²; "
            f"give it a multiple of {upscale_factor**2}"
        )
    return "b c h w"


@layer("pixel_shuffle", kind="shape", layout=_shuffled_layout)
def pixel_shuffle(*, upscale_factor: PositiveInt) -> nn.PixelShuffle:
    """Spread each group of r² channels over r × r pixels, r = `upscale_factor`.

    Shape:   b (c r r) h w -> b c (h r) (w r)
    Source:  Shi et al., Real-Time Single Image and Video Super-Resolution, CVPR 2016, sec. 3.2. arXiv:1609.05158
    """
    return nn.PixelShuffle(upscale_factor)


def _unshuffled_layout(inputs: Sequence[Any], *, downscale_factor: int) -> str:
    found = inputs[0].layout
    if found != "b c h w":
        raise ValueError(f"`pixel_unshuffle` works on `b c h w`, found `{found}`; rearrange it")
    height, width = inputs[0].shape[2:]
    if height % downscale_factor or width % downscale_factor:
        raise ValueError(
            f"`pixel_unshuffle` cannot divide a map of {height}×{width} by {downscale_factor}; "
            f"put `{{op: pad_to_multiple, multiple: {downscale_factor}}}` before it"
        )
    return "b c h w"


@layer("pixel_unshuffle", kind="shape", layout=_unshuffled_layout)
def pixel_unshuffle(*, downscale_factor: PositiveInt) -> nn.PixelUnshuffle:
    """Gather each r × r pixels as channels, r = `downscale_factor`: undoes pixel_shuffle.

    Shape:   b c (h r) (w r) -> b (c r r) h w
    """
    return nn.PixelUnshuffle(downscale_factor)
