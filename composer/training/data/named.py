"""torchvision's data sets by their names."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from composer.errors import Diagnostic, InputError, did_you_mean
from composer.foreign import is_error, said
from composer.training.data.assemble import Found, Wishes
from composer.training.data.extra import library
from composer.training.data.idx import find_idx, has_idx
from composer.training.data.images import FileImages, array_images
from composer.training.data.targets import ClassTargets

# Where data sets lie, or are downloaded to.
ROOT = "COMPOSER_DATA"
_DEFAULT = "~/.cache/composer/data"
# The package `dataset-fashion-mnist` of Debian and Ubuntu.
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


@dataclass(frozen=True)
class _Known:
    """How a data set is opened: the parameter that names a split and its value for each; whether it is in memory."""

    parameter: str
    splits: Mapping[str, Any]
    in_memory: bool = False


_FLAG = {"train": True, "test": False}
_TWO = {"train": "train", "test": "test"}
_THREE = {"train": "train", "validation": "val", "test": "test"}
_JUDGED = {"train": "train", "validation": "val"}
_KNOWN = {
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "USPS"), _Known("train", _FLAG, True)),
    **dict.fromkeys(("SVHN", "STL10"), _Known("split", _TWO, True)),
    **dict.fromkeys(("Food101", "StanfordCars"), _Known("split", _TWO)),
    **dict.fromkeys(("Flowers102", "DTD", "FGVCAircraft", "RenderedSST2"), _Known("split", _THREE)),
    **dict.fromkeys(("Imagenette", "ImageNet", "CLEVRClassification"), _Known("split", _JUDGED)),
    "Country211": _Known("split", {"train": "train", "validation": "valid", "test": "test"}),
    **dict.fromkeys(("EuroSAT", "SUN397"), _Known("", {"": None})),
}


def find_named(name: str, wishes: Wishes) -> Found:
    """Images and classes of a data set of torchvision.

    name    of its class, such as `CIFAR10`
    wishes  whether it may be downloaded

    It lies in the folder that the variable `COMPOSER_DATA` of the environment names, or in `~/.cache/composer/data`.
    Fashion-MNIST is also found where Debian's package puts it. Raises InputError, and UnavailableError without
    torchvision.
    """
    if name not in _KNOWN:
        help = did_you_mean(name, _KNOWN, f"known are {', '.join(sorted(_KNOWN))}; open others as a folder or a CSV")
        text = f"there is no data set `{name}` of torchvision that can be trained on by its name"
        raise InputError(Diagnostic("data", text, label="a data set of images and classes", help=help))
    root = Path(os.environ.get(ROOT) or _DEFAULT).expanduser()
    if name == "FashionMNIST" and not has_idx(root / name / "raw") and has_idx(_DEBIAN):
        return find_idx(_DEBIAN, _FASHION)
    known = _KNOWN[name]
    sets = {split: _open(name, known, value, root, wishes) for split, value in known.splits.items()}
    marks = [split for split, one in sets.items() for _ in range(len(one))]
    return _in_memory(name, sets, marks) if known.in_memory else _in_files(root, sets, marks)


def _open(name: str, known: _Known, value: Any, root: Path, wishes: Wishes) -> Any:
    make = getattr(library("torchvision.datasets", f"torchvision:{name}"), name)
    options: dict[str, Any] = {known.parameter: value} if known.parameter else {}
    if not known.in_memory:
        # The paths of images in place of the images: composer reads them.
        options["loader"] = str
    # Some cannot be downloaded, and take no such argument.
    if wishes.download and name not in ("ImageNet", "StanfordCars"):
        options["download"] = True
        wishes.tell(f"looking for {name} in {root}, and downloading it if it is not there")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(root, **options)
    except BaseException as error:
        # A factory of another library may raise anything.
        if not is_error(error):
            raise
        raise InputError(_missing(name, root, wishes, said(error) or type(error).__name__)) from error


def _missing(name: str, root: Path, wishes: Wishes, why: str) -> Diagnostic:
    if wishes.download:
        text = f"`torchvision:{name}` cannot be downloaded to `{root}`: {why.splitlines()[0]}"
        return Diagnostic("data-download", text, label="a connection, and room on the disk")
    help = (
        "allow the download with --download",
        f"or set {ROOT} to the folder in which torchvision put it",
    )
    text = f"`torchvision:{name}` is not in `{root}`"
    return Diagnostic("data-download", text, label="files that torchvision knows", help=help)


def _in_memory(name: str, sets: Mapping[str, Any], marks: list[str]) -> Found:
    """Data sets that hold all images as an array: b h w, b h w c or b c h w."""
    arrays = [np.asarray(one.data) for one in sets.values()]
    values = np.concatenate(arrays)
    if values.ndim == 3:
        values = values[..., None]
    elif values.shape[1] == 3:
        values = values.transpose(0, 2, 3, 1)
    labels = np.concatenate(
        [np.asarray(one.targets if hasattr(one, "targets") else one.labels) for one in sets.values()]
    )
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    store = array_images(values, name, digest)
    return Found(store, ClassTargets(_names(sets, labels), labels.astype(np.int64), given=True), marks)


def _in_files(root: Path, sets: Mapping[str, Any], marks: list[str]) -> Found:
    pairs = [one[index] for one in sets.values() for index in range(len(one))]
    files = [os.path.relpath(path, root) for path, _ in pairs]
    labels = np.array([label for _, label in pairs], dtype=np.int64)
    return Found(FileImages(root, files), ClassTargets(_names(sets, labels), labels, given=True), marks)


def _names(sets: Mapping[str, Any], labels: np.ndarray) -> tuple[str, ...]:
    """The names of the classes: those of the data set, if it has one for each."""
    known = getattr(next(iter(sets.values())), "classes", None) or ()
    names = tuple(one if isinstance(one, str) else str(one[0]) for one in known)
    count = int(labels.max()) + 1
    return names if len(names) >= count and len(set(names)) == len(names) else tuple(map(str, range(count)))
