"""What training reads: images and their targets, in three splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from PIL import Image
from torch import Tensor

from composer.images import MODES
from composer.training.data.checking import in_threads

# What a network learns of an image: its class, labels that may be several, numbers, or the class of every pixel.
Task = Literal["classes", "labels", "values", "map"]
# Pixels of a mask with this value have no class, as in Pascal VOC and Cityscapes.
IGNORED = 255


class Split(Protocol):
    """Images and targets, read one by one when they are asked for. It can be pickled."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image.Image | Tensor:
        """An image in grey, RGB or RGBA, or uint8 c h w of a source of arrays. Raises InputError with its name."""
        ...

    def target(self, index: int) -> int | Tensor | Image.Image:
        """A class; labels as float k of 0 and 1; values as float k; or a mask of classes in grey."""
        ...

    def name(self, index: int) -> str:
        """A path, or an index such as `digits[12]`."""
        ...


@dataclass(frozen=True)
class Data:
    """Images to train on, as `open_data` found them.

    name         the source, as the user wrote it
    train        images to learn from
    validation   images by which a run is judged while it learns
    test         images by which it is judged at its end
    classes      names of classes or labels by index; empty for values
    task         what is learnt of an image
    outputs      how many classes, labels or values
    channels     of the images: 1, 3, or 4 if each has an alpha channel
    size         height and width, if all images have the same; None otherwise
    unreadable   name and reason of each image that was left out
    fingerprint  SHA-256 of names, sizes, targets and splits: the same for the same data
    said         sentences for the user: how it was split, what was left out
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    task: Task
    outputs: int
    channels: int
    size: tuple[int, int] | None
    unreadable: tuple[tuple[str, str], ...]
    fingerprint: str
    said: tuple[str, ...]

    def statistics(self, at_most: int = 2000) -> tuple[list[float], list[float]]:
        """Mean and standard deviation per channel, for values in 0..1, over training images.

        at_most  so many images are read, evenly spread over the split

        Every image counts the same, whatever its size. A channel that never changes has a deviation of 1. Raises
        InputError for an image that cannot be read.
        """
        chosen = np.unique(np.linspace(0, len(self.train) - 1, min(at_most, len(self.train))).round().astype(int))

        def moments(index: int) -> np.ndarray:
            pixels = pixels_of(self.train.image(index), self.channels).reshape(-1, self.channels) / 255
            return np.stack([pixels.mean(0), (pixels**2).mean(0)])

        every = list(in_threads(moments, chosen.tolist(), "measuring images", lambda text: None))
        mean, square = np.mean(every, axis=0)
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        return mean.tolist(), np.where(deviation > 1e-6, deviation, 1.0).tolist()


def pixels_of(image: Image.Image | Tensor, channels: int) -> np.ndarray:
    """The values of an image, uint8 h w c, in so many channels."""
    found = np.asarray(as_pillow(image, channels))
    return found.reshape(*found.shape[:2], channels)


def as_pillow(image: Image.Image | Tensor, channels: int) -> Image.Image:
    """An image of a split in grey, RGB or RGBA.

    image     of Pillow, or uint8 c h w
    channels  1, 3 or 4
    """
    if isinstance(image, Tensor):
        values = image.permute(1, 2, 0).numpy()
        image = Image.fromarray(values[..., 0] if values.shape[-1] == 1 else np.ascontiguousarray(values))
    return image if image.mode == MODES[channels] else image.convert(MODES[channels])


@dataclass(frozen=True)
class Subset:
    """A split: some of a source's images, in the order of `chosen`."""

    images: Images
    targets: Targets
    chosen: np.ndarray

    def __len__(self) -> int:
        return len(self.chosen)

    def image(self, index: int) -> Image.Image | Tensor:
        """See `Split`."""
        return self.images.image(int(self.chosen[index]))

    def target(self, index: int) -> int | Tensor | Image.Image:
        """See `Split`."""
        return self.targets[int(self.chosen[index])]

    def name(self, index: int) -> str:
        """See `Split`."""
        return self.images.name(int(self.chosen[index]))


class Images(Protocol):
    """All images of a source, by index."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image.Image | Tensor:
        """As of a `Split`."""
        ...

    def name(self, index: int) -> str:
        """As of a `Split`."""
        ...

    def key(self, index: int) -> str:
        """A name that does not depend on where the source lies; by it, and a seed, images are split."""
        ...

    def identity(self, index: int) -> str:
        """What says that it is the same image: a size, or a hash of content."""
        ...


class Targets(Protocol):
    """The targets of all images of a source, by index."""

    @property
    def task(self) -> Task: ...

    @property
    def names(self) -> Sequence[str]: ...

    def __getitem__(self, index: int) -> int | Tensor | Image.Image: ...

    def identity(self, index: int) -> str:
        """The target as text, the same wherever the source lies."""
        ...
