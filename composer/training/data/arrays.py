"""Arrays of images and targets in an NPZ file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from composer.errors import Diagnostic, InputError, one_of
from composer.paths import reason, sha256
from composer.training.data.assemble import Found
from composer.training.data.data import Task
from composer.training.data.images import array_images
from composer.training.data.masks import ArrayMasks, see_masks
from composer.training.data.targets import targets_of_array

_ROLES = {
    "images": ("x", "image", "images", "data"),
    "targets": ("y", "label", "labels", "target", "targets", "value", "values", "mask", "masks"),
}
_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_NAMES = ("classes", "class_names")
_EXPECTED = "x_train and y_train, x_val and y_val, x_test and y_test; or images and labels"


@dataclass(frozen=True)
class _Pair:
    """The arrays of a split, and the keys under which they are stored."""

    split: str
    keys: tuple[str, str]
    images: np.ndarray
    targets: np.ndarray


def find_arrays(path: Path, task: Task | None, tell: Callable[[str], None]) -> Found:
    """Images and targets of an NPZ file; pickled objects are never read.

    path  a file with `x_train`, `y_train` and the like, or `images` and `labels`; `classes` may name the classes
    task  what the targets are; None: whole numbers and words are classes, rows of zeros and ones labels, other numbers
          values, and an array for each image a mask
    tell  is called with the progress

    Images are b h w, b h w c or b c h w, of 0..255 or of 0..1. Raises InputError.
    """
    arrays = _read(path)
    pairs = _pairs(path, arrays)
    said: list[str] = []
    images = [_as_bytes(path, pair, said) for pair in pairs]
    if len({one.shape[1:] for one in images}) > 1:
        found = ", ".join(f"`{pair.keys[0]}` {_shape(one)}" for pair, one in zip(pairs, images, strict=True))
        raise _problem(path, f"its images differ in size: {found}", "images of one size")
    digest = sha256(path)
    store = array_images(np.concatenate(images), str(path), digest)
    splits = [pair.split for pair in pairs for _ in pair.images]
    names = next((arrays[key] for key in _NAMES if key in arrays), None)
    targets = _joined(path, pairs)
    said = list(dict.fromkeys(said))
    if targets.ndim in (3, 4) and task in (None, "map"):
        masks = _masks(path, pairs[0].keys[1], targets, images[0].shape[1:3], digest)
        seen = see_masks(masks, None if names is None else list(map(str, names.reshape(-1))), tell)
        return Found(store, seen.targets, splits, [*said, *seen.said], seen.broken)
    if task is None and targets.dtype.kind == "f" and targets.ndim == 1 and (targets == np.round(targets)).all():
        said.append(f"targets of type {targets.dtype} are taken for values; for classes, write `task: classes`")
    try:
        return Found(store, targets_of_array(targets, task, names), splits, said)
    except ValueError as error:
        raise _problem(path, f"`{pairs[0].keys[1]}` {error}", "targets for the images") from error


def _masks(path: Path, key: str, values: np.ndarray, size: tuple[int, ...], digest: str) -> ArrayMasks:
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.shape[1:] != size:
        raise _problem(path, f"`{key}` is {_shape(values)}", f"masks of the images' size, {'×'.join(map(str, size))}")
    if values.dtype.kind not in "biu" or not 0 <= int(values.min()) <= int(values.max()) <= 255:
        text = f"`{key}` is of type {values.dtype}, with values from {values.min()} to {values.max()}"
        raise _problem(path, text, "masks of whole numbers, 0…254; 255 is left out")
    return ArrayMasks(values.astype(np.uint8), str(path), digest)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        # Of a broken file that it opened itself, numpy leaves the handle open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise _problem(path, "it is a single array", _EXPECTED)
            return {key: file[key] for key in file.files if _role(key) or key in _NAMES}
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, MemoryError, OverflowError) as error:
        help = "" if "allow_pickle" not in str(error) else "save arrays of numbers or text, not of Python objects"
        text = "it holds pickled objects, which could run code" if help else f"it cannot be read: {reason(error)}"
        raise _problem(path, text, "an NPZ file of arrays", help) from error
    except Exception as error:
        # Arbitrary bytes can make a reader fail in any way.
        raise _problem(path, f"it cannot be read: {reason(error)}", "an NPZ file of arrays") from error


def _role(key: str) -> tuple[str, str] | None:
    """Split and role of an array by its key; the split is "" if the key has none.

    >>> _role("x_train"), _role("val_images"), _role("labels"), _role("notes")
    (('train', 'images'), ('validation', 'images'), ('', 'targets'), None)
    """
    words = re.split(r"[_\-. ]", key.lower())
    split = next((_SPLITS[word] for word in words if word in _SPLITS), "")
    rest = [word for word in words if word not in _SPLITS]
    role = next((role for role, known in _ROLES.items() if len(rest) == 1 and rest[0] in known), None)
    return (split, role) if role else None


def _pairs(path: Path, arrays: Mapping[str, np.ndarray]) -> list[_Pair]:
    keys: dict[tuple[str, str], str] = {}
    for key in arrays:
        role = _role(key)
        if role and role in keys:
            raise _problem(path, f"`{keys[role]}` and `{key}` mean the same", "one of them")
        if role:
            keys[role] = key
    pairs = []
    for split in ("", *dict.fromkeys(_SPLITS.values())):
        found = [keys.get((split, role)) for role in _ROLES]
        if not any(found):
            continue
        images, targets = found
        if images is None or targets is None:
            raise _problem(
                path, f"`{images or targets}` has no {'images' if targets else 'targets'} beside it", _EXPECTED
            )
        if len(arrays[images]) != len(arrays[targets]) if arrays[images].ndim and arrays[targets].ndim else True:
            text = f"`{images}` is {_shape(arrays[images])} and `{targets}` {_shape(arrays[targets])}"
            raise _problem(path, text, "a target for each image")
        pairs.append(_Pair(split, (images, targets), arrays[images], arrays[targets]))
    if not pairs:
        raise _problem(path, f"its arrays are {one_of(arrays) if arrays else 'of other names'}", _EXPECTED)
    if len(pairs) > 1 and not pairs[0].split:
        raise _problem(path, f"`{pairs[0].keys[0]}` belongs to no split, and others do", _EXPECTED)
    if pairs[0].split not in ("", "train"):
        raise _problem(path, "there are no images to train on", _EXPECTED)
    return pairs


def _as_bytes(path: Path, pair: _Pair, said: list[str]) -> np.ndarray:
    """Images as uint8 b h w c."""
    key, values = pair.keys[0], pair.images
    if values.ndim == 3:
        values = values[..., None]
    elif values.ndim == 4 and values.shape[-1] not in (1, 3, 4) and values.shape[1] in (1, 3, 4):
        values = values.transpose(0, 2, 3, 1)
    if values.ndim != 4 or values.shape[-1] not in (1, 3, 4) or 0 in values.shape:
        raise _problem(
            path, f"`{key}` is {_shape(pair.images)}", "images b h w, b h w c or b c h w of 1, 3 or 4 channels"
        )
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "biuf":
        raise _problem(path, f"`{key}` is of type {values.dtype}", "numbers")
    least, largest = float(values.min()), float(values.max())
    if not (least >= 0 and largest <= 255):
        help = "scale the values to 0..255 and save them as uint8"
        raise _problem(path, f"`{key}` has values from {least:g} to {largest:g}", "0..255, or 0..1", help)
    if values.dtype.kind == "b" or (values.dtype.kind == "f" and largest <= 1):
        said.append("values of 0..1 were rounded to 256 levels")
        values = values * np.float32(255)
    elif values.dtype.kind == "f" and (values != np.round(values)).any():
        said.append("values were rounded to whole numbers")
    return np.round(values).astype(np.uint8) if values.dtype.kind == "f" else values.astype(np.uint8)


def _joined(path: Path, pairs: list[_Pair]) -> np.ndarray:
    shapes = {pair.targets.shape[1:] for pair in pairs}
    kinds = {pair.targets.dtype.kind for pair in pairs}
    if len(shapes) > 1 or ("U" in kinds and len(kinds) > 1):
        found = ", ".join(f"`{pair.keys[1]}` {pair.targets.dtype} {_shape(pair.targets)}" for pair in pairs)
        raise _problem(path, f"its targets differ: {found}", "targets of one kind")
    return np.concatenate([pair.targets for pair in pairs])


def _shape(values: np.ndarray) -> str:
    return "×".join(map(str, values.shape)) or "a single number"


def _problem(path: Path, text: str, label: str, help: str = "") -> InputError:
    return InputError(Diagnostic("data", f"`{path}`: {text}", label=label, help=(help,) if help else ()))
