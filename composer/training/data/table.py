"""A CSV of paths of images and their targets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from composer.errors import Diagnostic, InputError, one_of, suggest
from composer.training.data.assemble import Found
from composer.training.data.data import Targets, Task
from composer.training.data.folder import FOLDERS
from composer.training.data.images import FileImages
from composer.training.data.masks import FileMasks, see_masks
from composer.training.data.rows import Rows, read_rows
from composer.training.data.targets import LabelTargets, ValueTargets, class_targets, label_targets

_PATHS = ("path", "image", "file", "filename", "filepath", "file_name", "image_path", "img_path")
# Column -> what it holds.
_KINDS: dict[str, Task] = {
    **dict.fromkeys(("label", "class", "target", "category"), "classes"),
    **dict.fromkeys(("labels", "classes", "tags"), "labels"),
    **dict.fromkeys(("value", "values"), "values"),
    **dict.fromkeys(("mask", "mask_path"), "map"),
}
# Between the labels of an image; those of the first that occurs in a column.
_SEPARATORS = ";|,"


def find_table(path: Path, task: Task | None, tell: Callable[[str], None]) -> Found:
    """Images and targets that a CSV names.

    path  a file with a header: a column `path`, of files relative to it; targets, as `label`, `labels`, `value` or
          `values`, `mask`, or columns of other names that hold words, zeros and ones, or numbers; and `split`, if the
          images are split
    task  what the targets are; None: what the columns say
    tell  is called with the progress

    Raises InputError, with the line of what is wrong.
    """
    rows = read_rows(path)
    names = [name.strip().lower() for name in rows.header]
    if not rows.cells:
        raise InputError(rows.fault(-1, None, f"`{path}` has a header and no rows", "a row for each image"))
    column = _path_column(rows, names)
    InputError.check(_wrong_paths(rows, column))
    files = [cells[column].strip() for cells in rows.cells]
    splits = _splits(rows, names)
    task, chosen, said = _chosen(rows, names, column, task)
    images = FileImages(path.parent, files)
    if task == "map":
        InputError.check(_empty_cells(rows, chosen[0], "mask"))
        masks = FileMasks(path.parent, [cells[chosen[0]].strip() for cells in rows.cells])
        seen = see_masks(masks, None, tell)
        said += seen.said
        return Found(
            images, seen.targets, splits, said, seen.broken, seen.sizes, lambda index: rows.where(index, column)
        )
    return Found(images, _targets(rows, task, chosen), splits, said, where=lambda index: rows.where(index, column))


def _path_column(rows: Rows, names: list[str]) -> int:
    found = next((names.index(name) for name in _PATHS if name in names), None)
    if found is None:
        nearest = suggest("path", rows.header)
        help = (f"rename `{nearest}` to `path`" if nearest else "call the column of the images' files `path`",)
        text = f"no column is called `path`: the header has {one_of(rows.header)}"
        raise InputError(rows.fault(-1, None, text, "a column `path`", help))
    return found


def _wrong_paths(rows: Rows, column: int) -> Iterator[Diagnostic]:
    lines: dict[str, int] = {}
    for row, cells in enumerate(rows.cells):
        file = cells[column].strip()
        if not file:
            yield rows.fault(row, column, "the row has no path", "a file, relative to this one")
        elif file in lines:
            text = f"`{file}` stands in line {lines[file]} already"
            help = ("several labels of an image go into one cell: a column `labels`, with `;` between them",)
            yield rows.fault(row, column, text, "each image once", help)
        else:
            lines[file] = rows.lines[row]


def _empty_cells(rows: Rows, column: int, what: str) -> Iterator[Diagnostic]:
    for row, cells in enumerate(rows.cells):
        if not cells[column].strip():
            yield rows.fault(row, column, f"the image has no {what}", f"a {what}")


def _splits(rows: Rows, names: list[str]) -> list[str]:
    if "split" not in names:
        return [""] * len(rows.cells)
    column = names.index("split")
    InputError.check(
        rows.fault(row, column, f"there is no split `{cells[column]}`", "train, val or test")
        for row, cells in enumerate(rows.cells)
        if cells[column].strip().lower() not in FOLDERS
    )
    return [FOLDERS[cells[column].strip().lower()] for cells in rows.cells]


def _chosen(rows: Rows, names: list[str], path: int, task: Task | None) -> tuple[Task, list[int], list[str]]:
    """The task, the columns of its targets, and what is said of the others."""
    rest = [column for column, name in enumerate(names) if column != path and name != "split"]
    if not rest:
        help = ("add a column `label`, `labels`, `value` or `mask`",)
        raise InputError(rows.fault(-1, None, "no column holds targets", "a column beside the path", help))
    known: dict[Task, list[int]] = {}
    for column in rest:
        if kind := _KINDS.get(names[column]):
            known.setdefault(kind, []).append(column)
    if task is None and len(known) > 1:
        text = f"the columns hold targets for {len(known)} tasks: {one_of(known)}"
        raise InputError(rows.fault(-1, None, text, "a task", ("say which with `task`",)))
    if known:
        written = task if task is not None and task in known else next(iter(known))
        chosen, task = known[written], task or written
    else:
        chosen = rest
    if task is None:
        task = _guessed(rows, chosen)
    if len(chosen) > 1 and task in ("classes", "map"):
        found = one_of(rows.header[column] for column in chosen)
        text = f"an image has one target for the task {task}, and the columns are {found}"
        raise InputError(rows.fault(-1, None, text, "one column", ("call it `label` or `mask`",)))
    unused = [rows.header[column] for column in rest if column not in chosen]
    return task, chosen, [f"columns that are not used: {one_of(unused)}"] if unused else []


def _guessed(rows: Rows, columns: list[int]) -> Task:
    """The task of columns whose names say nothing: one of words is a class, several of 0 and 1 are labels."""
    numbers = [all(_number(cells[column]) is not None for cells in rows.cells) for column in columns]
    if all(numbers):
        flags = all(_number(cells[column]) in (0, 1) for cells in rows.cells for column in columns)
        return "labels" if flags and len(columns) > 1 else "values"
    if len(columns) == 1:
        return "classes"
    found = one_of(rows.header[column] for column in columns)
    text = f"columns hold words and numbers, and none is called `label`: {found}"
    help = ("call the column of the targets `label`, `labels`, `value` or `mask`",)
    raise InputError(rows.fault(-1, None, text, "a column of targets", help))


def _targets(rows: Rows, task: Task, columns: list[int]) -> Targets:
    names = tuple(rows.header[column].strip() for column in columns)
    if task == "classes":
        (column,) = columns
        InputError.check(_wrong_classes(rows, column))
        return class_targets([cells[column].strip() for cells in rows.cells])
    if task == "labels" and len(columns) == 1:
        return label_targets(_words(rows, columns[0]))
    if task == "values" and len(columns) == 1 and any(";" in cells[columns[0]] for cells in rows.cells):
        return _listed_values(rows, columns[0])
    InputError.check(_wrong_numbers(rows, columns, task))
    values = np.array([[float(cells[column]) for column in columns] for cells in rows.cells])
    return LabelTargets(names, values.astype(np.uint8)) if task == "labels" else ValueTargets(names, values)


def _wrong_classes(rows: Rows, column: int) -> Iterator[Diagnostic]:
    for row, cells in enumerate(rows.cells):
        word = cells[column].strip()
        if not word:
            yield rows.fault(row, column, "the image has no class", "the name of a class")
        elif (number := _number(word)) is not None and number != round(number):
            help = ("for numbers, call the column `value`, or write `task: values`",)
            yield rows.fault(row, column, f"the class `{word}` is a fraction", "the name of a class", help)


def _words(rows: Rows, column: int) -> list[list[str]]:
    cells = [row[column] for row in rows.cells]
    separator = next((one for one in _SEPARATORS if any(one in cell for cell in cells)), ";")
    return [[word for part in cell.split(separator) if (word := part.strip())] for cell in cells]


def _listed_values(rows: Rows, column: int) -> ValueTargets:
    lists = [cells[column].split(";") for cells in rows.cells]
    count = len(lists[0])

    def wrong() -> Iterator[Diagnostic]:
        for row, values in enumerate(lists):
            if len(values) != count:
                text = f"{len(values)} values, and {count} in line {rows.lines[0]}"
                yield rows.fault(row, column, text, f"{count} numbers with `;` between them")
            for value in values:
                if _number(value) is None:
                    yield rows.fault(row, column, f"`{value.strip()}` is not a number", "a finite number")

    InputError.check(wrong())
    return ValueTargets(tuple(map(str, range(count))), np.array([list(map(float, values)) for values in lists]))


def _wrong_numbers(rows: Rows, columns: list[int], task: Task) -> Iterator[Diagnostic]:
    for row, cells in enumerate(rows.cells):
        for column in columns:
            number = _number(cells[column])
            if number is None:
                text = f"`{cells[column].strip()}` is not a number" if cells[column].strip() else "a number is missing"
                yield rows.fault(row, column, text, "0 or 1" if task == "labels" else "a finite number")
            elif task == "labels" and number not in (0, 1):
                yield rows.fault(row, column, f"the label is {cells[column].strip()}", "0 or 1")


def _number(text: str) -> float | None:
    """The finite number that a cell holds; Python's own `1_000`, `nan` and `inf` are none."""
    if not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", text, re.ASCII):
        return None
    number = float(text)
    return number if math.isfinite(number) else None
