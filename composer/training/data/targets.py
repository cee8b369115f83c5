"""Targets of images: one class, several labels, numbers, or a mask of classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from composer.training.data.data import Task


@dataclass(frozen=True)
class ClassTargets:
    """One class of each image.

    names  of the classes, by index
    given  the source states the classes: one without images stays
    """

    names: tuple[str, ...]
    values: np.ndarray
    given: bool = False
    task: ClassVar[Task] = "classes"

    def __getitem__(self, index: int) -> int:
        return int(self.values[index])

    def identity(self, index: int) -> str:
        """The class's index; the names are hashed with all of them."""
        return str(self.values[index])


@dataclass(frozen=True)
class LabelTargets:
    """Any number of labels of each image: values b k of 0 and 1."""

    names: tuple[str, ...]
    values: np.ndarray
    task: ClassVar[Task] = "labels"

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.values[index].astype(np.float32))

    def identity(self, index: int) -> str:
        """The values."""
        return str(self.values[index].tolist())


@dataclass(frozen=True)
class ValueTargets:
    """Numbers of each image: values b k; `names` are their columns."""

    names: tuple[str, ...]
    values: np.ndarray
    task: ClassVar[Task] = "values"

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.values[index].astype(np.float32))

    def identity(self, index: int) -> str:
        """The values."""
        return str(self.values[index].tolist())


def class_targets(words: Sequence[str]) -> ClassTargets:
    """Classes from the word of each image, sorted by name as torchvision's ImageFolder does: `10` comes before `9`."""
    names = tuple(sorted(set(words)))
    index = {name: number for number, name in enumerate(names)}
    return ClassTargets(names, np.array([index[word] for word in words], dtype=np.int64))


def label_targets(words: Sequence[Iterable[str]]) -> LabelTargets:
    """Labels from the words of each image, sorted by name."""
    sets = [set(one) for one in words]
    names = tuple(sorted(set().union(*sets)))
    values = np.array([[name in one for name in names] for one in sets], dtype=np.uint8)
    return LabelTargets(names, values.reshape(len(sets), len(names)))


def targets_of_array(
    values: np.ndarray, task: Task | None, names: np.ndarray | None
) -> ClassTargets | LabelTargets | ValueTargets:
    """Targets of an array, but masks.

    values  a target per image: b, b 1 or b k
    task    what they are; None: see `find_arrays`
    names   of classes or labels, if the source has them
    Raises ValueError, which says what is wrong with them.
    """
    if values.dtype.kind not in "biufU":
        raise ValueError(f"is of type {values.dtype}: numbers or text are targets")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or task == "map":
        raise ValueError(f"is {'×'.join(map(str, values.shape))}: a number, a word or a row for each image")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("holds values that are not finite")
    task = task or _task_of(values)
    given = None if names is None else tuple(map(str, names.reshape(-1)))
    if task == "classes":
        return _array_classes(values, given)
    if values.dtype.kind == "U":
        raise ValueError(f"holds text: {task} are numbers")
    rows = values.reshape(len(values), -1)
    columns = given or tuple(map(str, range(rows.shape[1])))
    if len(columns) != rows.shape[1]:
        raise ValueError(f"has {rows.shape[1]} columns, and there are {len(columns)} names")
    if task == "values":
        return ValueTargets(columns, rows.astype(np.float32))
    if not np.isin(rows, (0, 1)).all():
        raise ValueError("holds other numbers than 0 and 1: labels are there or not")
    return LabelTargets(columns, rows.astype(np.uint8))


def _task_of(values: np.ndarray) -> Task:
    if values.ndim == 2 and np.isin(values, (0, 1)).all():
        # One 1 in every row is a class, as Keras' to_categorical writes it.
        return "classes" if (values.sum(1) == 1).all() else "labels"
    return "values" if values.ndim == 2 or values.dtype.kind == "f" else "classes"


def _array_classes(values: np.ndarray, given: tuple[str, ...] | None) -> ClassTargets:
    if values.ndim == 2:
        if not (np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all()):
            raise ValueError("has a row per image in which not just one number is 1: write the class of each image")
        values, given = values.argmax(1), given or tuple(map(str, range(values.shape[1])))
    if values.dtype.kind == "f":
        if (values != np.round(values)).any():
            raise ValueError("holds fractions: classes are whole numbers, or text")
        values = values.astype(np.int64)
    if given is None:
        found, index = np.unique(values, return_inverse=True)
        return ClassTargets(tuple(map(str, found)), index.reshape(-1).astype(np.int64))
    if values.dtype.kind == "U":
        number = {name: index for index, name in enumerate(given)}
        if unknown := sorted(set(map(str, values)) - set(given)):
            raise ValueError(f"names the class `{unknown[0]}`, which is not among the names of classes")
        return ClassTargets(given, np.array([number[str(one)] for one in values], dtype=np.int64), given=True)
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < len(given):
        raise ValueError(f"goes from {values.min()} to {values.max()}, and there are {len(given)} names of classes")
    return ClassTargets(given, values.astype(np.int64), given=True)
