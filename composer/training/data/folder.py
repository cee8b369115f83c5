"""A folder of images: a folder per class, in splits or not; or images and their masks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from composer.amounts import plural
from composer.errors import Diagnostic, InputError, one_of
from composer.paths import reason
from composer.training.data.assemble import Found
from composer.training.data.images import FileImages
from composer.training.data.targets import class_targets

# Folder, in lower case -> split.
FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
# Formats that Pillow hands to other programs, or of which it reads but the header.
_NOT_PICTURES = {".eps", ".ps", ".pdf", ".mpg", ".mpeg", ".h5", ".hdf", ".wmf", ".emf", ".bufr", ".grib", ".fit"}


def endings() -> set[str]:
    """Endings of files that are taken for images, in lower case."""
    known = Image.registered_extensions()
    return {ending for ending, format in known.items() if format in Image.OPEN} - _NOT_PICTURES


def find_folder(root: Path) -> Found:
    """Images below a folder, with the class that their folder names.

    root  holds a folder per class; or `train` and, if there are, `val` and `test`, with a folder per class in each

    Hidden files are left out, and a link that leads back is not followed again. Raises InputError.
    """
    files: list[str] = []
    words: list[str] = []
    parts: list[str] = []
    others = 0
    empty: set[str] = set()
    for split, folder in split_folders(root).items():
        for name in class_folders(folder):
            found = list(files_below(folder / name))
            images = [str(file.relative_to(root)) for file in found if file.suffix.lower() in endings()]
            others += len(found) - len(images)
            if not images:
                empty.add(name)
            files += images
            words += [name] * len(images)
            parts += [split] * len(images)
    if not files:
        raise InputError(_no_images(root))
    if len(set(words)) == 1 and (inner := _inner(root / words[0])):
        text = f"`{root}` has one folder with images, `{words[0]}`, which has folders of its own"
        help = (f"did you mean `{inner}`?",)
        raise InputError(Diagnostic("data-target", text, label="two classes or more, a folder for each", help=help))
    return Found(FileImages(root, files), class_targets(words), parts, list(_said(others, sorted(empty - set(words)))))


def _inner(folder: Path) -> Path | None:
    """A folder of one class that seems to hold the classes itself."""
    return folder if len(folders_in(folder)) > 1 or set(split_folders(folder)) != {""} else None


def _said(others: int, empty: list[str]) -> Iterator[str]:
    if others:
        yield f"left out {plural(others, 'file', ',')} that are no images by their names"
    if empty:
        yield f"left out {plural(len(empty), 'folder')} without images: {one_of(empty)}"


def split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; the root itself, for the split "", if it has none. Raises InputError."""
    found: dict[str, Path] = {}
    for folder in folders_in(root):
        split = FOLDERS.get(folder.name.lower())
        if split and split in found:
            text = f"`{root}` has two folders for {split}: `{found[split].name}` and `{folder.name}`"
            raise InputError(Diagnostic("data", text, label="one", help=("remove or rename one of them",)))
        if split:
            found[split] = folder
    if found and "train" not in found:
        # A class may be called so.
        return {"": root}
    return found or {"": root}


def class_folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, each of which is a class, sorted. Raises InputError."""
    return [one.name for one in folders_in(folder)]


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, but hidden ones, sorted by name. Raises InputError."""
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir()]


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, but hidden ones, in the order of their names. Raises InputError."""
    seen: set[str] = set()
    left = [str(folder)]
    while left:
        here = left.pop()
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        entries = _entries(Path(here))
        yield from (Path(entry.path) for entry in entries if not entry.is_dir())
        left += [entry.path for entry in reversed(entries) if entry.is_dir()]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            # macOS writes `._cat.png` beside each file of an archive, or a folder of them.
            shown = [entry for entry in found if not entry.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        text = f"the folder `{folder}` cannot be read: {reason(error)}"
        raise InputError(Diagnostic("data", text, label="a folder that may be read")) from error
    return sorted(shown, key=lambda entry: entry.name)


def _no_images(root: Path) -> Diagnostic:
    """Why a folder holds nothing to train on, and what to do."""
    label = "a folder per class, or `train` and `val` with a folder per class in each"
    if not _entries(root):
        return Diagnostic("data", f"the folder `{root}` is empty", label=label)
    for folder in split_folders(root).values():
        loose = [entry.name for entry in _entries(folder) if Path(entry.name).suffix.lower() in endings()]
        if loose:
            lie = "lies" if len(loose) == 1 else "lie"
            text = f"{plural(len(loose), 'image', ',')} {lie} in no class's folder, such as `{folder / loose[0]}`"
            tables = [entry.name for entry in _entries(root) if entry.name.lower().endswith(".csv")]
            help = (
                "move each into the folder of its class, or write a CSV with the columns path and label",
                *(f"or did you mean `{root / name}`?" for name in tables[:1]),
            )
            return Diagnostic("data", text, label=label, help=help)
    below = [folder for folder in folders_in(root) if any(one.name.lower() == "train" for one in folders_in(folder))]
    meant = tuple(f"did you mean `{one}`?" for one in below[:1])
    return Diagnostic("data", f"there are no images in the folders of `{root}`", label=label, help=meant)
