"""Small images, in files and folders, for tests of training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Image.Image:
    """An image of noise; `size` is width and height."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    return Image.fromarray(noise, "RGBA").convert(mode) if mode != "RGBA" else Image.fromarray(noise)


def write_pictures(folder: Path, names: Iterable[str], size: tuple[int, int] = (12, 10), mode: str = "RGB") -> None:
    """Images of noise in files; each name has its own."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(sum(map(ord, name)), size, mode).save(path)


def classes_of(root: Path, names: Iterable[str], count: int, size: tuple[int, int] = (12, 10)) -> Path:
    """A folder with so many images for each class."""
    write_pictures(root, (f"{name}/{index:02}.png" for name in names for index in range(count)), size)
    return root
