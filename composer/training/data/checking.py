"""Looks at every image of a source before it is trained on: what it is, and whether it can be read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

from composer.errors import Diagnostic, InputError
from composer.foreign import named
from composer.training.data.images import EncodedImages, Header

T = TypeVar("T")

# Up to so many images are decoded; of more, the headers are read, and a broken one is found when its turn comes.
MAX_DECODED = 20_000
# Images between two messages of progress, after which an interrupt is also noticed.
_AT_ONCE = 1000


def headers(images: EncodedImages, tell: Callable[[str], None]) -> list[Header | Diagnostic]:
    """What each image is, or why it cannot be read.

    images  of a source
    tell    is called with the progress, a line of text
    """
    whole = len(images) <= MAX_DECODED

    def look(index: int) -> Header | Diagnostic:
        return attempt(lambda: images.header(index, whole=whole), images.name(index))

    return list(in_threads(look, range(len(images)), "looking at images", tell))


def attempt(read: Callable[[], T], name: str) -> T | Diagnostic:
    """What a reader gives, or why it fails: arbitrary bytes can make it fail in any way."""
    try:
        return read()
    except InputError as error:
        return error.diagnostics[0]
    except Exception as error:
        return Diagnostic("image", f"cannot read the image `{name}`: {named(error)}")


def in_threads(
    look: Callable[[int], T], indices: Sequence[int], doing: str, tell: Callable[[str], None]
) -> Iterator[T]:
    """The result for each index, in order, worked out in threads, which decode at the same time.

    look     is called with an index
    indices  of the images
    doing    what is done, for the progress
    tell     is called with the progress
    """
    # Threads share the filters of warnings, which decoding changes: they all find these.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(indices), _AT_ONCE):
                if start:
                    tell(f"{doing}: {start:,} of {len(indices):,}")
                yield from pool.map(look, indices[start : start + _AT_ONCE])


def common_size(found: Iterable[Header]) -> tuple[int, int] | None:
    """Height and width, if all images have the same."""
    sizes = {(one.height, one.width) for one in found}
    return next(iter(sizes)) if len(sizes) == 1 else None


def common_channels(found: Iterable[Header]) -> int:
    """1 if all images are grey, 4 if all have an alpha channel, 3 otherwise."""
    channels = {one.channels for one in found}
    return next(iter(channels)) if len(channels) == 1 else 3
