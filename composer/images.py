"""Photographs -> the tensor that a spec's `input` declares."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from composer.amounts import plural
from composer.errors import Diagnostic, InputError
from composer.paths import MISSING, is_folder, obstacle, reason
from composer.spec.model import InputSpec

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
# The largest number of pixels of a photograph that is scaled as a whole.
MAX_SCALED = 100_000_000
# Bytes of scaled photographs that are kept in memory; those beyond are read again when their batch is due.
MAX_KEPT = 2**28


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The files as given; for a folder, its images, sorted by name. Raises InputError for a folder without images."""
    known = Image.registered_extensions()
    found: list[Path] = []
    for path in paths:
        if not is_folder(path):
            found.append(path)
            continue
        try:
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in known and not obstacle(file))
        except OSError as error:
            raise InputError(Diagnostic("image", f"the folder `{path}` cannot be read: {reason(error)}")) from error
        if not inside:
            raise InputError(Diagnostic("image", f"there is no image in the folder `{path}`", label="PNG, JPEG …"))
        found += inside
    return found


def read_image(path: Path, channels: int = 3) -> Image.Image:
    """An image, upright, in grey, RGB or RGBA. Raises InputError for a file that is not a complete image."""
    if channels not in MODES:
        text = f"an image cannot fill {channels} input channels"
        help = ("run the network with --tensor instead",)
        raise InputError(Diagnostic("image", text, label="1, 3 or 4 channels", help=help))
    if problem := obstacle(path):
        text = f"there is no image `{path}`" if problem == MISSING else f"the image `{path}` {problem}"
        raise InputError(Diagnostic("image", text))
    try:
        with path.open("rb") as stream:
            return decode_image(stream, str(path), channels)
    except OSError as error:
        raise InputError(Diagnostic("image", f"cannot read the image `{path}`: {reason(error)}")) from error


def decode_image(stream: BinaryIO, name: str, channels: int | None = None) -> Image.Image:
    """A complete image, upright, in grey, RGB or RGBA.

    stream    a file at its beginning
    name      the file's, for errors
    channels  1, 3 or 4; None: as many as the image has
    Raises InputError for what is not a complete image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(stream) as image:
                return _shallow(ImageOps.exif_transpose(image)).convert(MODES[channels or channels_of(image.mode)])
    except UnidentifiedImageError as error:
        text = f"`{name}` is not an image"
        raise InputError(Diagnostic("image", text, label="PNG, JPEG, WebP …")) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(Diagnostic("image", f"cannot read the image `{name}`: {error}")) from error


def channels_of(mode: str) -> int:
    """The number of channels to which an image of one of Pillow's modes is converted: 1, 3 or 4.

    >>> channels_of("L"), channels_of("I;16"), channels_of("P"), channels_of("RGBA")
    (1, 1, 3, 4)
    """
    if mode in ("1", "L", "LA", "La", "F") or mode.startswith("I"):
        return 1
    return 4 if mode in ("RGBA", "RGBa", "PA") else 3


def _shallow(image: Image.Image) -> Image.Image:
    """The upper 8 bits of an image with 16 bits per pixel; Pillow's own conversion would clip at 255."""
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I") else image


def input_of(model: ComposedModule) -> InputSpec:
    """How images become the network's input: as its weights were made, if their source says so, or as its spec says."""
    report = model.weights_report
    return report.image if report and report.image else next(iter(model.spec.inputs.values()))


def read_batches(
    paths: Sequence[Path],
    spec: InputSpec,
    shape: Sequence[int],
    size: int,
    seen: Callable[[Path, Image.Image], None] | None = None,
) -> Iterator[Tensor]:
    """Batches b c h w of photographs, each as `prepare` gives it.

    paths        files of photographs
    spec, shape  as `prepare` takes them
    size         the number of photographs in a batch
    seen         is called with each photograph as it was read
    All photographs are read before the first batch is made, so that a broken one is found at once. Raises InputError.
    """
    kept: list[Image.Image] = []
    for path in paths:
        image = read_image(path, shape[0])
        if seen is not None:
            seen(path, image)
        image = scaled(image, spec, shape)
        if len(kept) < MAX_KEPT // math.prod(shape):
            kept.append(image)

    def tensor(index: int) -> Tensor:
        if index < len(kept):
            return normalised(kept[index], spec, shape)
        return prepare(read_image(paths[index], shape[0]), spec, shape)

    every = range(len(paths))
    return (torch.stack([tensor(index) for index in every[start : start + size]]) for start in every[::size])


def prepare(image: Image.Image, spec: InputSpec, shape: Sequence[int]) -> Tensor:
    """The network's input c h w from an image: resized, centre-cropped and normalised.

    image  any size
    spec   the input that states mean, std, interpolation and crop
    shape  (c, h, w) of the network's input

    The image is scaled until it covers (h, w) / crop, then the central h×w is kept; values are 0..1 before (x - mean) /
    std. Raises InputError if mean and std have another number of channels, or if the kept part is smaller than a pixel
    of the image.
    """
    return normalised(scaled(image, spec, shape), spec, shape)


def normalised(image: Image.Image, spec: InputSpec, shape: Sequence[int]) -> Tensor:
    """The tensor c h w of a scaled image."""
    channels, height, width = shape
    pixels = np.array(image, dtype=np.float32).reshape(height, width, channels) / np.float32(255)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    for name, values, operation in (("mean", spec.mean, torch.sub), ("std", spec.std, torch.div)):
        if values is not None:
            tensor = operation(tensor, per_channel(name, values, channels).view(-1, 1, 1))
    return tensor


def scaled(image: Image.Image, spec: InputSpec, shape: Sequence[int]) -> Image.Image:
    """The part of an image that is kept, scaled to h×w."""
    _, height, width = shape
    size, (left, top) = frame(image, spec, shape)
    method = _FILTERS[spec.interpolation]
    if math.prod(size) <= MAX_SCALED:
        return image.resize(size, method).crop((left, top, left + width, top + height))
    # A very wide image covers a square only at many times its size, so it is cropped first.
    across, down = image.width / size[0], image.height / size[1]
    right, bottom = min(image.width, (left + width) * across), min(image.height, (top + height) * down)
    return image.resize((width, height), method, box=(left * across, top * down, right, bottom))


def frame(image: Image.Image, spec: InputSpec, shape: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The width and height to which `prepare` scales an image, and the left and top of the part that it keeps.

    Raises InputError if the part is smaller than a pixel of the image, across or down, and the whole is large.
    """
    _, height, width = shape
    wanted = width / spec.crop, height / spec.crop
    scale = max(_whole(wanted[1]) / image.height, _whole(wanted[0]) / image.width)
    if scale > min(width, height) and image.width * scale * image.height * scale > MAX_SCALED:
        text = f"an image of {image.width}×{image.height} pixels has to be scaled {scale:,.0f} times"
        help = (f"`crop` is {spec.crop:g}, and the input is {width}×{height}",)
        raise InputError(Diagnostic("image", text, label="an image of which more than a pixel is kept", help=help))
    size = (max(width, int(image.width * scale + 1e-6)), max(height, int(image.height * scale + 1e-6)))
    return size, (round((size[0] - width) / 2), round((size[1] - height) / 2))


def _whole(size: float) -> float:
    return size if math.isinf(size) else int(size)


def per_channel(name: str, values: Sequence[float], channels: int) -> Tensor:
    """A value per channel. A grey image takes the average of the values for colours."""
    found = torch.tensor(values)
    if channels == 1:
        return found.mean(0, keepdim=True)
    if len(values) not in (1, channels):
        text = f"the input has {plural(channels, 'channel')}, and `{name}` has {plural(len(values), 'value')}"
        help = (f"write `{name}` with {channels} values, or one for all, under `input`",)
        raise InputError(Diagnostic("image", text, help=help))
    return found
