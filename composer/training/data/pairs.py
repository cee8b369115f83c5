"""A folder of images and their masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from composer.amounts import plural
from composer.errors import Diagnostic, InputError, one_of
from composer.paths import obstacle, reason
from composer.training.data.assemble import Found
from composer.training.data.folder import endings, files_below, folders_in, split_folders
from composer.training.data.images import FileImages
from composer.training.data.masks import FileMasks, see_masks

_IMAGES = ("images", "image", "imgs")
_MASKS = ("masks", "mask", "annotations", "labels")
_NAMES = "classes.txt"


def holds_pairs(root: Path) -> bool:
    """Whether a folder holds images and masks: side by side, or in each of its splits. Raises InputError."""
    return any(_sides(folder) for folder in split_folders(root).values())


def find_pairs(root: Path, tell: Callable[[str], None]) -> Found:
    """Images, and the mask that has the same name, below a folder.

    root  holds `images` and `masks`; or `train`, `val` and `test`, with these in each; or `images` and `masks` with
          `train`, `val` and `test` in each. A mask `cat_mask.png` belongs to `cat.jpg` too. `classes.txt` may name the
          classes, one in a line
    tell  is called with the progress

    Raises InputError.
    """
    images: list[str] = []
    masks: list[str] = []
    splits: list[str] = []
    alone: list[str] = []
    for split, (pictures, answers) in _folders(root).items():
        known = {_stem(file, answers).removesuffix("_mask"): file for file in _pictures(answers)}
        known |= {_stem(file, answers): file for file in _pictures(answers)}
        for file in _pictures(pictures):
            if (mask := known.get(_stem(file, pictures))) is None:
                alone.append(str(file.relative_to(root)))
                continue
            images.append(str(file.relative_to(root)))
            masks.append(str(mask.relative_to(root)))
            splits.append(split)
    if not images:
        text = f"there is no image with a mask of its name in `{root}`"
        help = ("the mask of `images/cat.jpg` is `masks/cat.png`",)
        raise InputError(Diagnostic("data", text, label="images, and a mask for each", help=help))
    seen = see_masks(FileMasks(root, masks), _class_names(root), tell)
    said = list(seen.said)
    if alone:
        said.append(f"left out {plural(len(alone), 'image', ',')} without a mask: {one_of(alone, 3)}")
    return Found(FileImages(root, images), seen.targets, splits, said, seen.broken, seen.sizes)


def _sides(folder: Path) -> tuple[Path, Path] | None:
    inside = {one.name.lower(): one for one in folders_in(folder)}
    pictures = next((inside[name] for name in _IMAGES if name in inside), None)
    answers = next((inside[name] for name in _MASKS if name in inside), None)
    return (pictures, answers) if pictures and answers else None


def _folders(root: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of images and of masks of each split."""
    found = {split: sides for split, folder in split_folders(root).items() if (sides := _sides(folder))}
    if set(found) != {""}:
        return found
    pictures, answers = (split_folders(side) for side in found[""])
    if missing := sorted(pictures.keys() - answers.keys()):
        text = f"`{found[''][1]}` has no folder `{pictures[missing[0]].name}`, and `{found[''][0]}` has"
        raise InputError(Diagnostic("data", text, label="the same splits of images and masks"))
    return {split: (folder, answers[split]) for split, folder in pictures.items()}


def _pictures(folder: Path) -> list[Path]:
    return [file for file in files_below(folder) if file.suffix.lower() in endings()]


def _stem(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder).with_suffix(""))


def _class_names(root: Path) -> list[str] | None:
    path = root / _NAMES
    if obstacle(path):
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        text = f"cannot read the names of classes, `{path}`: {reason(error)}"
        raise InputError(Diagnostic("data", text, label="UTF-8, a name in each line")) from error
    return [line.strip() for line in lines if line.strip()] or None
