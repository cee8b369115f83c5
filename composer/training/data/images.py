"""Stores of images: arrays in memory, and files of images that are decoded when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from composer.errors import Diagnostic, InputError
from composer.images import channels_of, decode_image
from composer.paths import MISSING, obstacle, reason

# The EXIF tag of the orientation, and its values for images that lie on their side.
_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)


@dataclass(frozen=True)
class Header:
    """What an image is before its pixels are read: height, width and channels."""

    height: int
    width: int
    channels: int


@dataclass(frozen=True)
class ArrayImages:
    """Images of one size in memory.

    values  uint8 b c h w
    source  what indices are appended to in names: `digits` gives `digits[12]`
    digest  SHA-256 of the values
    """

    values: Tensor
    source: str
    digest: str

    def __len__(self) -> int:
        return len(self.values)

    def image(self, index: int) -> Tensor:
        """An image, uint8 c h w."""
        return self.values[index]

    def name(self, index: int) -> str:
        """The source and the index."""
        return f"{self.source}[{index}]"

    def key(self, index: int) -> str:
        """The index."""
        return str(index)

    def identity(self, index: int) -> str:
        """The hash of all values."""
        return self.digest


class EncodedImages(ABC):
    """Images as PNG, JPEG and the like; a source says where their bytes are."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def stream(self, index: int) -> BinaryIO:
        """The bytes of an image. Raises InputError or OSError."""

    @abstractmethod
    def name(self, index: int) -> str:
        """What a user finds the image by."""

    @abstractmethod
    def key(self, index: int) -> str:
        """A name that does not depend on where the source lies."""

    @abstractmethod
    def identity(self, index: int) -> str:
        """The number of bytes."""

    def image(self, index: int) -> Image.Image:
        """An image, upright, in grey, RGB or RGBA. Raises InputError."""
        with self._open(index) as stream:
            return decode_image(stream, self.name(index))

    def header(self, index: int, *, whole: bool = True) -> Header:
        """Size and channels of an image.

        whole  decode all of it, so that a truncated file is found
        Raises InputError for what is not an image.
        """
        with self._open(index) as stream:
            if whole:
                image = decode_image(stream, self.name(index))
                return Header(image.height, image.width, channels_of(image.mode))
            return _read_header(stream, self.name(index))

    def _open(self, index: int) -> BinaryIO:
        try:
            return self.stream(index)
        except OSError as error:
            text = f"cannot read the image `{self.name(index)}`: {reason(error)}"
            raise InputError(Diagnostic("image", text)) from error


def _read_header(stream: BinaryIO, name: str) -> Header:
    try:
        with Image.open(stream) as image:
            # A PNG's own method reads all pixels, in case the EXIF stands behind them.
            lying = Image.Image.getexif(image).get(_ORIENTATION) in _LYING
            if lying and image.format == "TIFF":
                # Pillow turns these itself, in some versions before the pixels are read.
                width, height = ImageOps.exif_transpose(image).size
            else:
                width, height = image.size[::-1] if lying else image.size
            return Header(height, width, channels_of(image.mode))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(Diagnostic("image", f"`{name}` is not an image", label="PNG, JPEG, WebP …")) from error


@dataclass(frozen=True)
class FileImages(EncodedImages):
    """Images in files.

    root   the folder below which names are the same on every machine
    files  their paths, below the root or absolute
    """

    root: Path
    files: Sequence[str]

    def __len__(self) -> int:
        return len(self.files)

    def stream(self, index: int) -> BinaryIO:
        """The opened file. Raises InputError if there is none."""
        path = self.root / self.files[index]
        if problem := obstacle(path):
            text = f"there is no image `{path}`" if problem == MISSING else f"the image `{path}` {problem}"
            raise InputError(Diagnostic("image", text))
        return path.open("rb")

    def name(self, index: int) -> str:
        """The path."""
        return str(self.root / self.files[index])

    def key(self, index: int) -> str:
        """The path below the root."""
        return self.files[index]

    def identity(self, index: int) -> str:
        """The file's size."""
        return str((self.root / self.files[index]).stat().st_size)


def array_images(values: np.ndarray, source: str, digest: str) -> ArrayImages:
    """Images of an array.

    values  uint8 b h w c, in memory
    source  the name of the source
    digest  SHA-256 of the values
    """
    return ArrayImages(torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2))), source, digest)
