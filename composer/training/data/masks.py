"""Masks: for each pixel of an image its class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

import numpy as np
from PIL import Image

from composer.errors import Diagnostic, InputError
from composer.paths import MISSING, obstacle
from composer.training.data.checking import attempt, in_threads
from composer.training.data.data import IGNORED, Task

_HELP = f"save masks as PNG of one channel, whose values are classes from 0 on; {IGNORED} is left out of the loss"


class Masks(Protocol):
    """Masks of all images, by index."""

    def __len__(self) -> int: ...

    def mask(self, index: int) -> np.ndarray:
        """The values of a mask, uint8 h w. Raises InputError."""
        ...

    def name(self, index: int) -> str:
        """What a user finds the mask by."""
        ...

    def identity(self, index: int) -> str:
        """A name that does not depend on where the source lies, and a size or a hash."""
        ...


@dataclass(frozen=True)
class ArrayMasks:
    """Masks in memory: uint8 b h w; `digest` is a hash of them."""

    values: np.ndarray
    source: str
    digest: str

    def __len__(self) -> int:
        return len(self.values)

    def mask(self, index: int) -> np.ndarray:
        """See `Masks`."""
        return self.values[index]

    def name(self, index: int) -> str:
        """See `Masks`."""
        return f"{self.source}[{index}]"

    def identity(self, index: int) -> str:
        """See `Masks`."""
        return f"{self.digest}[{index}]"


@dataclass(frozen=True)
class FileMasks:
    """Masks in files, whose paths are below the root or absolute."""

    root: Path
    files: Sequence[str]

    def __len__(self) -> int:
        return len(self.files)

    def mask(self, index: int) -> np.ndarray:
        """See `Masks`."""
        path = self.root / self.files[index]
        if problem := obstacle(path):
            text = f"there is no mask `{path}`" if problem == MISSING else f"the mask `{path}` {problem}"
            raise InputError(Diagnostic("image", text))
        with path.open("rb") as stream:
            return decode_mask(stream, str(path))

    def name(self, index: int) -> str:
        """See `Masks`."""
        return str(self.root / self.files[index])

    def identity(self, index: int) -> str:
        """See `Masks`."""
        return f"{self.files[index]} {(self.root / self.files[index]).stat().st_size}"


def decode_mask(stream: BinaryIO, name: str) -> np.ndarray:
    """The values of a mask, uint8 h w.

    stream  a file at its beginning
    name    the file's, for errors
    Raises InputError for what is no mask.
    """
    try:
        with Image.open(stream) as image:
            return _values(image, name)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(Diagnostic("image", f"cannot read the mask `{name}`: {error}")) from error


def _values(image: Image.Image, name: str) -> np.ndarray:
    """The values of a mask as they are stored: of a palette its indices, never its colours."""
    if image.format in ("JPEG", "MPO"):
        raise _refused(name, "is a JPEG, which changes values")
    values = np.asarray(image)
    if values.ndim == 3 and all((values[..., 0] == values[..., channel]).all() for channel in range(values.shape[2])):
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "biu":
        raise _refused(name, f"has colours or fractions (mode {image.mode})")
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= 255:
        raise _refused(name, f"has values from {values.min()} to {values.max()}")
    return values.astype(np.uint8)


def _refused(name: str, text: str) -> InputError:
    return InputError(Diagnostic("image", f"the mask `{name}` {text}", label="classes 0…254", help=(_HELP,)))


@dataclass(frozen=True)
class MapTargets:
    """The class of every pixel of each image.

    names  of the classes, by index
    masks  of all images
    two    the masks have no other values than 0 and 255, which are the classes 0 and 1
    """

    names: tuple[str, ...]
    masks: Masks
    two: bool = False
    task: ClassVar[Task] = "map"

    def __getitem__(self, index: int) -> Image.Image:
        values = self.masks.mask(index)
        return Image.fromarray((values > 0).astype(np.uint8) if self.two else values)

    def identity(self, index: int) -> str:
        """See `Targets`."""
        return self.masks.identity(index)


@dataclass(frozen=True)
class SeenMasks:
    """What all masks hold.

    targets  made of them
    sizes    height and width of each, but of those that cannot be read
    broken   why masks cannot be used, by index
    said     sentences for the user
    """

    targets: MapTargets
    sizes: dict[int, tuple[int, int]]
    broken: dict[int, Diagnostic]
    said: list[str]


def see_masks(masks: Masks, names: Sequence[str] | None, tell: Callable[[str], None]) -> SeenMasks:
    """Read every mask, since their values say how many classes there are.

    masks  of all images
    names  of the classes, if the source has them; None: they are called by their numbers
    tell   is called with the progress
    """

    def look(index: int) -> tuple[tuple[int, int], np.ndarray] | Diagnostic:
        def read() -> tuple[tuple[int, int], np.ndarray]:
            values = masks.mask(index)
            return (values.shape[0], values.shape[1]), np.bincount(values.reshape(-1), minlength=256) > 0

        return attempt(read, masks.name(index))

    sizes: dict[int, tuple[int, int]] = {}
    broken: dict[int, Diagnostic] = {}
    found: dict[int, np.ndarray] = {}
    for index, one in enumerate(in_threads(look, range(len(masks)), "looking at masks", tell)):
        if isinstance(one, Diagnostic):
            broken[index] = one
        else:
            sizes[index], found[index] = one
    present = np.logical_or.reduce(list(found.values())) if found else np.zeros(256, dtype=bool)
    two = bool(present[IGNORED] and not present[1:IGNORED].any()) and (names is None or len(names) == 2)
    said = [f"masks hold 0 and {IGNORED} alone: the classes 0 and 1"] if two else []
    highest = 1 if two else max(np.flatnonzero(present[:IGNORED]).tolist(), default=-1)
    classes = tuple(names) if names else tuple(map(str, range(highest + 1)))
    if not two:
        for index, values in found.items():
            wrong = np.flatnonzero(values[len(classes) : IGNORED])
            if len(wrong):
                text = f"the mask `{masks.name(index)}` has the value {wrong[0] + len(classes)}"
                broken[index] = Diagnostic("image", text, label=f"{len(classes)} classes, 0…{len(classes) - 1}")
    return SeenMasks(MapTargets(classes, masks, two), sizes, broken, said)
