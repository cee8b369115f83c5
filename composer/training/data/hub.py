"""Data sets of Hugging Face: of the hub, as far as they are on this machine, or in a local folder."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from composer.errors import Diagnostic, InputError, one_of
from composer.foreign import is_error, said
from composer.paths import is_folder
from composer.training.data.assemble import Found, Wishes
from composer.training.data.data import Targets, Task
from composer.training.data.extra import library
from composer.training.data.folder import FOLDERS
from composer.training.data.images import EncodedImages
from composer.training.data.masks import decode_mask, see_masks
from composer.training.data.targets import (
    ClassTargets,
    LabelTargets,
    class_targets,
    label_targets,
    targets_of_array,
)

# Columns of images and of targets, where a set has more than one that may be meant.
_IMAGES = ("image", "img", "picture")
_TARGETS = ("label", "labels", "class", "target", "fine_label", "value", "values", "mask", "annotation")


@dataclass(frozen=True)
class _Rows:
    """A column of images of all splits, one after the other.

    source  the set's name
    splits  name and rows of each split, without other columns
    column  of the images
    """

    source: str
    splits: Sequence[tuple[str, Any]]
    column: str

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.splits)

    def place(self, index: int) -> tuple[str, Any, int]:
        """Split, its rows, and the number of a row among them."""
        for split, rows in self.splits:
            if index < len(rows):
                return split, rows, index
            index -= len(rows)
        raise IndexError(index)

    def stream(self, index: int) -> BinaryIO:
        """The bytes of an image. Raises InputError for an empty cell, and OSError."""
        _, rows, row = self.place(index)
        cell = rows[row][self.column]
        if cell and cell.get("bytes") is not None:
            return io.BytesIO(cell["bytes"])
        if not cell or not cell.get("path"):
            raise InputError(Diagnostic("image", f"`{self.name(index)}` holds no image"))
        return Path(cell["path"]).open("rb")

    def name(self, index: int) -> str:
        """The set, the split, and the number of the row."""
        split, _, row = self.place(index)
        return f"{self.source}:{split}[{row}]"


@dataclass(frozen=True)
class HubImages(EncodedImages):
    """Images in the rows of a set."""

    rows: _Rows

    def __len__(self) -> int:
        return len(self.rows)

    def stream(self, index: int) -> BinaryIO:
        """The bytes of an image. Raises InputError and OSError."""
        return self.rows.stream(index)

    def name(self, index: int) -> str:
        """The set, the split, and the number of the row."""
        return self.rows.name(index)

    def key(self, index: int) -> str:
        """The split, and the number of the row."""
        split, _, row = self.rows.place(index)
        return f"{split}[{row}]"

    def identity(self, index: int) -> str:
        """The hash that the package keeps of the split."""
        return str(self.rows.place(index)[1]._fingerprint)


@dataclass(frozen=True)
class HubMasks:
    """Masks in the rows of a set."""

    rows: _Rows

    def __len__(self) -> int:
        return len(self.rows)

    def mask(self, index: int) -> np.ndarray:
        """The values of a mask, uint8 h w. Raises InputError."""
        with self.rows.stream(index) as stream:
            return decode_mask(stream, self.name(index))

    def name(self, index: int) -> str:
        """The set, the split, and the number of the row."""
        return f"{self.rows.name(index)}.{self.rows.column}"

    def identity(self, index: int) -> str:
        """The hash that the package keeps of the split."""
        return str(self.rows.place(index)[1]._fingerprint)


def find_hub(name: str, task: Task | None, wishes: Wishes) -> Found:
    """Images and targets of a data set of Hugging Face.

    name    `NAME` or `NAME:CONFIG` of the hub, or a local folder: one that `save_to_disk` wrote, or of data files
    task    what the targets are; None: what the types of the columns say
    wishes  whether it may be downloaded

    The set's own splits are taken. Raises InputError, and UnavailableError without the package `datasets`.
    """
    datasets = library("datasets", f"hf:{name}")
    found = _loaded(datasets, name, wishes)
    named = dict(found) if isinstance(found, datasets.DatasetDict) else {"": found}
    splits, notes = _splits(named)
    features = next(iter(named.values())).features
    column = _column(name, _of_images(datasets, features), _IMAGES, "images")
    target = _target_column(datasets, name, features, column, task)
    unused = [one for one in features if one not in (column, target)]
    notes += [f"columns that are not used: {one_of(unused)}"] if unused else []
    images = HubImages(_rows(datasets, name, named, column))
    marks = [splits[split] for split, rows in named.items() for _ in range(len(rows))]
    if isinstance(features[target], datasets.Image):
        masks = HubMasks(_rows(datasets, name, named, target))
        seen = see_masks(masks, None, wishes.tell)
        return Found(images, seen.targets, marks, [*notes, *seen.said], seen.broken, seen.sizes)
    cells = [cell for rows in named.values() for cell in rows[target]]
    return Found(images, _targets(datasets, name, target, features[target], cells, task), marks, notes)


def _loaded(datasets: Any, name: str, wishes: Wishes) -> Any:
    path, config = (name, None) if is_folder(name) else _parted(name)
    local = is_folder(path)
    try:
        with _quiet(datasets), contextlib.nullcontext() if local or wishes.download else _offline(datasets):
            if local and any((Path(path) / one).exists() for one in ("dataset_dict.json", "state.json")):
                return datasets.load_from_disk(path)
            return datasets.load_dataset(path, config)
    except BaseException as error:
        # The package reads files that anyone may have written.
        if not is_error(error):
            raise
        why = (said(error) or type(error).__name__).splitlines()[0]
        if local or wishes.download:
            text = f"the data set `{name}` of Hugging Face cannot be opened: {why}"
            raise InputError(Diagnostic("data", text, label="a set that `datasets.load_dataset` opens")) from error
        help = ("allow the download with --download", "a local folder is `hf:./FOLDER`")
        text = f"the data set `{name}` of Hugging Face is not on this machine: {why}"
        raise InputError(Diagnostic("data-download", text, label="a set in its cache", help=help)) from error


def _parted(name: str) -> tuple[str, str | None]:
    path, _, config = name.partition(":")
    return path, config or None


@contextlib.contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    shown = datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not shown:
            datasets.enable_progress_bars()


@contextlib.contextmanager
def _offline(datasets: Any) -> Iterator[None]:
    """The hub is not asked; the variables of the environment for it are read only once, so its settings are changed."""
    constants = library("huggingface_hub.constants", "hf")
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _splits(named: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """What each split is for; those of other names are taken out. A set of one split is not split yet."""
    if len(named) == 1:
        return {next(iter(named)): ""}, []
    splits = {name: FOLDERS[name.lower()] for name in named if name.lower() in FOLDERS}
    other = [name for name in named if name not in splits]
    for name in other:
        del named[name]
    if "train" not in splits.values():
        text = f"the set has the splits {one_of([*splits, *other])}"
        raise InputError(Diagnostic("data-split", text, label="a split `train`"))
    return splits, [f"splits that are not used: {one_of(other)}"] if other else []


def _of_images(datasets: Any, features: Mapping[str, Any]) -> list[str]:
    return [name for name, feature in features.items() if isinstance(feature, datasets.Image)]


def _column(name: str, columns: list[str], known: Sequence[str], what: str) -> str:
    if not columns:
        text = f"the data set `{name}` has no column of {what}"
        raise InputError(Diagnostic("data", text, label=f"a column of {what}"))
    return next((one for one in known if one in columns), columns[0])


def _target_column(datasets: Any, name: str, features: Mapping[str, Any], image: str, task: Task | None) -> str:
    """The column of targets: one whose name is known, else the first of classes, else the only one that can be."""
    tasks = {one: _task(datasets, feature) for one, feature in features.items() if one != image}
    fitting = [one for one, kinds in tasks.items() if kinds and (task is None or task in kinds)]
    classes = [one for one in fitting if isinstance(features[one], datasets.ClassLabel)]
    chosen = next((one for one in _TARGETS if one in fitting), None) or next(iter(classes), None)
    if chosen or len(fitting) == 1:
        return chosen or fitting[0]
    text = f"the data set `{name}` has {len(fitting)} columns that may be targets: its columns are {one_of(features)}"
    help = (f"call the column of the targets {one_of(_TARGETS[:3])}",)
    raise InputError(Diagnostic("data-target", text, label="one column of targets", help=help))


def _task(datasets: Any, feature: Any) -> tuple[Task, ...]:
    """The tasks that a column may have targets for; the first is what it looks like."""
    if isinstance(feature, datasets.Image):
        return ("map",)
    if isinstance(feature, datasets.ClassLabel):
        return ("classes",)
    inner = getattr(feature, "feature", None)
    if inner is not None:
        words = isinstance(inner, datasets.ClassLabel) or getattr(inner, "dtype", "") == "string"
        number = getattr(inner, "dtype", "").startswith(("float", "int", "uint"))
        return ("labels",) if words else ("values",) if number else ()
    dtype = getattr(feature, "dtype", "")
    if dtype.startswith("float"):
        return ("values", "classes")
    if dtype.startswith(("int", "uint")):
        return ("classes", "values")
    return ("classes",) if dtype in ("string", "bool", "large_string") else ()


def _rows(datasets: Any, source: str, named: Mapping[str, Any], column: str) -> _Rows:
    as_bytes = [
        (split, rows.select_columns([column]).cast_column(column, datasets.Image(decode=False)))
        for split, rows in named.items()
    ]
    return _Rows(source, as_bytes, column)


def _targets(datasets: Any, name: str, column: str, feature: Any, cells: list[Any], task: Task | None) -> Targets:
    if missing := sum(cell is None for cell in cells):
        text = f"{missing:,} rows of the data set `{name}` have no `{column}`"
        raise InputError(Diagnostic("data-target", text, label="a target for each image"))
    if isinstance(feature, datasets.ClassLabel):
        labels = np.array(cells, dtype=np.int64)
        if labels.min() < 0:
            # Hidden answers of a test are written as -1.
            text = f"`{column}` of the data set `{name}` has the class {labels.min()}"
            raise InputError(Diagnostic("data-target", text, label=f"classes 0…{len(feature.names) - 1}"))
        return ClassTargets(tuple(feature.names), labels, given=True)
    inner = getattr(feature, "feature", None)
    if isinstance(inner, datasets.ClassLabel):
        values = np.zeros((len(cells), len(inner.names)), dtype=np.uint8)
        for row, labels in enumerate(cells):
            values[row, labels] = 1
        return LabelTargets(tuple(inner.names), values)
    if inner is not None and _task(datasets, feature) == ("labels",):
        return label_targets(cells)
    if getattr(feature, "dtype", "") in ("string", "large_string"):
        return class_targets(cells)
    try:
        return targets_of_array(np.array(cells), task or _task(datasets, feature)[0], None)
    except ValueError as error:
        text = f"`{column}` of the data set `{name}` {error}"
        raise InputError(Diagnostic("data-target", text, label="targets of one kind")) from error
