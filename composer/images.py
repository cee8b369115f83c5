"""Photographs -> the tensor that a spec's `input` declares."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from composer.errors import Diagnostic, InputError
from composer.spec.model import InputSpec

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def find_images(paths: Iterable[Path]) -> list[Path]:
    """Files as given; of a folder, the images in it, sorted by name. Raises InputError for one that has none."""
    known = Image.registered_extensions()
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in known and file.is_file())
        if not inside:
            raise InputError(Diagnostic("image", f"there is no image in the folder `{path}`", label="PNG, JPEG …"))
        found += inside
    return found


def read_image(path: Path, channels: int = 3) -> Image.Image:
    """One image, upright, in grey, RGB or RGBA. Raises InputError for what is not a whole image."""
    if channels not in _MODES:
        text = f"an image cannot fill {channels} input channels"
        help = ("run the network with --tensor instead",)
        raise InputError(Diagnostic("image", text, label="1, 3 or 4 channels", help=help))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _shallow(ImageOps.exif_transpose(image)).convert(_MODES[channels])
    except FileNotFoundError as error:
        raise InputError(Diagnostic("image", f"there is no image `{path}`")) from error
    except UnidentifiedImageError as error:
        text = f"`{path}` is not an image"
        raise InputError(Diagnostic("image", text, label="PNG, JPEG, WebP …")) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(Diagnostic("image", f"cannot read the image `{path}`: {error}")) from error


def _shallow(image: Image.Image) -> Image.Image:
    """Of 16 bits a pixel, the upper 8: Pillow's own conversion would clip at 255."""
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I") else image


def prepare(image: Image.Image, spec: InputSpec, shape: Sequence[int]) -> Tensor:
    """Resize, crop the centre and normalise as the input asks.

    shape  (c, h, w) of the network's input
    The image is scaled until it covers (h, w) / crop, then the central h×w is kept; values are 0..1 before
    (x - mean) / std. Returns c h w. Raises InputError where mean and std are of another number of channels.
    """
    channels, height, width = shape
    size, (left, top) = frame(image, spec, shape)
    image = image.resize(size, _FILTERS[spec.interpolation])
    image = image.crop((left, top, left + width, top + height))
    pixels = np.array(image, dtype=np.float32).reshape(height, width, channels) / np.float32(255)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    for name, values, operation in (("mean", spec.mean, torch.sub), ("std", spec.std, torch.div)):
        if values is not None:
            tensor = operation(tensor, per_channel(name, values, channels).view(-1, 1, 1))
    return tensor


def frame(image: Image.Image, spec: InputSpec, shape: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """What `prepare` makes of an image's size: width and height it is scaled to, left and top of the part it keeps."""
    _, height, width = shape
    scale = max(int(height / spec.crop) / image.height, int(width / spec.crop) / image.width)
    size = (max(width, int(image.width * scale + 1e-6)), max(height, int(image.height * scale + 1e-6)))
    return size, (round((size[0] - width) / 2), round((size[1] - height) / 2))


def per_channel(name: str, values: Sequence[float], channels: int) -> Tensor:
    """One value for each channel. Grey takes the average of those that its backbone has for colours."""
    found = torch.tensor(values)
    if channels == 1:
        return found.mean(0, keepdim=True)
    if len(values) not in (1, channels):
        text = f"the input has {channels} channels, and `{name}` has {len(values)} values"
        help = (f"write `{name}` with {channels} values, or one for all, under `input`",)
        raise InputError(Diagnostic("image", text, help=help))
    return found
