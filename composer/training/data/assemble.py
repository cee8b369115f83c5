"""What a source found -> data to train on: broken images are left out, the rest is split, checked and hashed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from composer.amounts import plural
from composer.errors import Diagnostic, InputError, Location, one_of
from composer.training.data.carve import carve
from composer.training.data.checking import common_channels, common_size, headers
from composer.training.data.data import Data, Images, Subset, Targets
from composer.training.data.images import ArrayImages, EncodedImages
from composer.training.data.targets import ClassTargets

SPLITS = ("train", "validation", "test")


@dataclass
class Found:
    """Images and targets of a source.

    images   all of them
    targets  of each image
    splits   of each image, where the source says it; "" for one that is still to be split
    said     sentences for the user
    broken   why images cannot be used, by index, as far as the source knows already
    sizes    height and width of each image's mask
    where    the place of an image in a file that names it
    """

    images: Images
    targets: Targets
    splits: Sequence[str]
    said: list[str] = field(default_factory=list)
    broken: dict[int, Diagnostic] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    where: Callable[[int], Location] | None = None


@dataclass(frozen=True)
class Wishes:
    """How data is opened; see `open_data`."""

    seed: int = 0
    validation: float = 0.15
    test: float = 0.15
    strict: bool = False
    download: bool = False
    tell: Callable[[str], None] = lambda text: None


def assemble(name: str, found: Found, wishes: Wishes) -> Data:
    """Data of what a source found. Raises InputError for data that nothing can be learnt from."""
    size, channels = _look(found, wishes)
    left = [index for index in range(len(found.images)) if index not in found.broken]
    _check_broken(name, found, len(left), wishes)
    targets = _used(found, left)
    splits, said = _split(found, targets, left, wishes)
    _check(name, found, targets, splits)
    parts = {split: Subset(found.images, targets, np.array(splits[split], dtype=np.int64)) for split in SPLITS}
    return Data(
        name=name,
        **parts,
        classes=() if targets.task == "values" else tuple(targets.names),
        task=targets.task,
        outputs=len(targets.names),
        channels=channels,
        size=size,
        unreadable=tuple((found.images.name(index), one.message) for index, one in sorted(found.broken.items())),
        fingerprint=_fingerprint(found.images, targets, splits),
        said=(*found.said, *_left_out(found), *_order(targets), *said),
    )


def _look(found: Found, wishes: Wishes) -> tuple[tuple[int, int] | None, int]:
    """The common size and the channels of the images; what cannot be read is noted in `found.broken`."""
    images = found.images
    if isinstance(images, ArrayImages):
        channels, height, width = images.values.shape[1:]
        return (height, width), channels
    assert isinstance(images, EncodedImages)
    looks = headers(images, wishes.tell)
    for index, one in enumerate(looks):
        if isinstance(one, Diagnostic):
            found.broken.setdefault(index, one)
        elif (size := found.sizes.get(index)) not in (None, (one.height, one.width)):
            text = f"the image `{images.name(index)}` is {one.height}×{one.width}, and its mask {size[0]}×{size[1]}"
            found.broken.setdefault(index, Diagnostic("image", text, label="a mask of the image's size"))
    good = [one for index, one in enumerate(looks) if index not in found.broken and not isinstance(one, Diagnostic)]
    return common_size(good), common_channels(good)


def _check_broken(name: str, found: Found, left: int, wishes: Wishes) -> None:
    if not found.broken or (left and not wishes.strict):
        return
    problems = [_as_data(found, index, one) for index, one in sorted(found.broken.items())]
    if not left:
        help = ("open one of them with a viewer of images",)
        text = f"none of the {plural(len(found.images), 'image', ',')} of `{name}` can be read"
        problems = [Diagnostic("data-image", text, label="PNG, JPEG, WebP …", help=help), *problems[:3]]
    raise InputError(problems)


def _as_data(found: Found, index: int, problem: Diagnostic) -> Diagnostic:
    location = problem.location or (found.where(index) if found.where else None)
    help = problem.help or ("mend or remove it, or leave --strict away, which leaves such images out",)
    return replace(problem, code="data-image", location=location, help=help)


def _left_out(found: Found) -> Iterator[str]:
    if found.broken:
        first = "; ".join(one.message for _, one in sorted(found.broken.items())[:3])
        more = f"; and {len(found.broken) - 3:,} more" if len(found.broken) > 3 else ""
        yield f"left out {plural(len(found.broken), 'image', ',')} that cannot be used: {first}{more}"


def _order(targets: Targets) -> Iterator[str]:
    """A warning where numbers as names of classes are not in the order of numbers."""
    if isinstance(targets, ClassTargets) and not targets.given and all(name.isdecimal() for name in targets.names):
        numbers = [int(name) for name in targets.names]
        later = next((index for index in range(1, len(numbers)) if numbers[index] < numbers[index - 1]), 0)
        if later:
            before, after = targets.names[later - 1 : later + 1]
            yield f"classes are sorted by their names as text: `{before}` comes before `{after}`"


def _used(found: Found, left: list[int]) -> Targets:
    """The targets, without classes that no image is left of, unless the source states its classes."""
    targets = found.targets
    if not isinstance(targets, ClassTargets) or targets.given:
        return targets
    used = np.unique(targets.values[left])
    if len(used) == len(targets.names):
        return targets
    gone = [targets.names[index] for index in np.setdiff1d(np.arange(len(targets.names)), used)]
    found.said.append(f"left out {plural(len(gone), 'class')} without images: {one_of(gone)}")
    return ClassTargets(tuple(targets.names[index] for index in used), np.searchsorted(used, targets.values))


def _split(found: Found, targets: Targets, left: list[int], wishes: Wishes) -> tuple[dict[str, list[int]], list[str]]:
    """Indices of each split, and how they were found, in sentences."""
    splits = {split: [index for index in left if found.splits[index] == split] for split in SPLITS}
    carved = [index for index in left if not found.splits[index]]
    if carved and not any(splits.values()):
        _carve(found, targets, splits, carved, ["validation", "test"], wishes)
        said = [f"split by seed {wishes.seed}{_evenly(targets)}"]
    else:
        splits["train"] += carved
        said = ["as the source splits them"]
        if not splits["validation"]:
            _carve(found, targets, splits, splits["train"], ["validation"], wishes)
            said.append(f"validation was taken from the training images by seed {wishes.seed}{_evenly(targets)}")
    if not splits["test"]:
        splits["test"] = splits["validation"]
        said.append("there are no test images of their own: the validation images are tested on too")
    return splits, [f"{_counts(splits)}: {said[0]}", *said[1:]]


def _carve(
    found: Found, targets: Targets, splits: dict[str, list[int]], of: list[int], wanted: list[str], wishes: Wishes
) -> None:
    shares = [getattr(wishes, split) for split in wanted]
    names = [found.images.key(index) for index in of]
    groups = [str(targets[index]) if targets.task == "classes" else "" for index in of]
    for split, part in zip([*wanted, "train"], carve(names, groups, shares, wishes.seed), strict=True):
        splits[split] = [of[index] for index in part]


def _evenly(targets: Targets) -> str:
    return ", each class alike" if targets.task == "classes" else ""


def _counts(splits: dict[str, list[int]]) -> str:
    return ", ".join(f"{len(splits[split]):,} {'training' if split == 'train' else split}" for split in SPLITS)


def _check(name: str, found: Found, targets: Targets, splits: dict[str, list[int]]) -> None:
    for split in SPLITS:
        if not splits[split]:
            text = f"`{name}` has no images for {'training' if split == 'train' else split}"
            total = len(found.images) - len(found.broken)
            advice = [f"{plural(total, 'image', ',')} can be read: give more, or larger shares for validation and test"]
            if targets.task == "classes" and len(targets.names) > total / 2:
                advice.append(f"there are {plural(len(targets.names), 'class')}: for numbers, write `task: values`")
            raise InputError(Diagnostic("data-split", text, label="an image or more in each split", help=tuple(advice)))
    if targets.task in ("classes", "map") and len(targets.names) < 2:
        what = f"one class, `{targets.names[0]}`" if len(targets.names) else "no class"
        help = ("a network learns to tell two classes or more apart",)
        raise InputError(Diagnostic("data-target", f"`{name}` has {what}", label="two classes or more", help=help))
    if targets.task in ("labels", "values") and not len(targets.names):
        raise InputError(Diagnostic("data-target", f"`{name}` has no {targets.task}", label="one or more"))
    if isinstance(targets, ClassTargets):
        _check_learnt(name, targets, splits)


def _check_learnt(name: str, targets: ClassTargets, splits: dict[str, list[int]]) -> None:
    """Every class that is judged must be learnt: a folder with another spelling would be a class of its own."""
    counts = {split: Counter(targets.values[splits[split]].tolist()) for split in SPLITS}
    for split in SPLITS[1:]:
        unseen = [targets.names[index] for index in sorted(counts[split].keys() - counts["train"].keys())]
        if unseen:
            text = f"`{name}` has {plural(len(unseen), 'class')} in {split} and not in training: {one_of(unseen)}"
            help = ("names of classes must be spelt alike in all splits, or the training images are missing",)
            raise InputError(Diagnostic("data-target", text, label="classes with training images", help=help))


def _fingerprint(images: Images, targets: Targets, splits: dict[str, list[int]]) -> str:
    digest = hashlib.sha256(repr((targets.task, tuple(targets.names))).encode("utf-8", "surrogateescape"))
    for split in SPLITS:
        for index in splits[split]:
            parts = (split, images.key(index), images.identity(index), targets.identity(index))
            line = "\0".join(parts) + "\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
