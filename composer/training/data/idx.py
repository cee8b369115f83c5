"""The files of MNIST and its relatives: `train-images-idx3-ubyte`, compressed or not."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from composer.errors import Diagnostic, InputError
from composer.paths import obstacle, reason
from composer.training.data.assemble import Found
from composer.training.data.images import array_images
from composer.training.data.targets import ClassTargets

# Split -> the beginning of its files' names.
_FILES = {"train": "train", "test": "t10k"}


def find_idx(root: Path, names: tuple[str, ...] | None = None) -> Found:
    """Images and classes in IDX files.

    root   holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, for the test, `t10k-…`; also with `.gz`
    names  of the classes; None: their numbers

    Source of the format: LeCun, the MNIST database. Raises InputError.
    """
    splits = [split for split in _FILES if split == "train" or _file(root, _FILES[split], "images", 3)]
    images = [_read(root, _FILES[split], "images", 3) for split in splits]
    classes = [_read(root, _FILES[split], "labels", 1) for split in splits]
    for split, pictures, labels in zip(splits, images, classes, strict=True):
        if len(pictures) != len(labels) or pictures.shape[1:] != images[0].shape[1:]:
            text = f"`{root}` has {len(pictures)} images and {len(labels)} classes for {split}"
            raise InputError(Diagnostic("data", text, label="a class for each image, and images of one size"))
    values, labels = np.concatenate(images), np.concatenate(classes).astype(np.int64)
    count = int(labels.max()) + 1
    if names is not None and count > len(names):
        text = f"`{root}` has the class {count - 1}, and {len(names)} classes are known"
        raise InputError(Diagnostic("data-target", text, label=f"classes 0…{len(names) - 1}"))
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    targets = ClassTargets(names or tuple(map(str, range(count))), labels, given=True)
    marks = [split for split, pictures in zip(splits, images, strict=True) for _ in pictures]
    return Found(array_images(values[..., None], str(root), digest), targets, marks)


def has_idx(root: Path) -> bool:
    """Whether a folder holds such files for training."""
    return all(_file(root, "train", what, axes) for what, axes in (("images", 3), ("labels", 1)))


def _file(root: Path, start: str, what: str, axes: int) -> Path | None:
    name = f"{start}-{what}-idx{axes}-ubyte"
    return next((path for path in (root / name, root / f"{name}.gz") if not obstacle(path)), None)


def _read(root: Path, start: str, what: str, axes: int) -> np.ndarray:
    path = _file(root, start, what, axes)
    if path is None:
        text = f"there is no `{start}-{what}-idx{axes}-ubyte` in `{root}`"
        raise InputError(Diagnostic("data", text, label="the files of MNIST, compressed by gzip or not"))
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise InputError(Diagnostic("data", f"cannot read `{path}`: {reason(error)}")) from error
    # Two zeros, 8 for unsigned bytes, the number of axes, and the length of each as four bytes.
    shape = tuple(int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes))
    body = content[4 + 4 * axes :]
    if content[:4] != bytes((0, 0, 8, axes)) or len(body) != math.prod(shape) or 0 in shape:
        text = f"`{path}` is no IDX file of {what}, or is cut"
        raise InputError(Diagnostic("data", text, label=f"bytes with {axes} axes"))
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
