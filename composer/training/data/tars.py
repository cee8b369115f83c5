"""WebDataset's tars, read by an index: every image of every shard can be asked for at any time."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from composer.amounts import plural
from composer.errors import Diagnostic, InputError, one_of
from composer.paths import is_folder, obstacle, reason
from composer.training.data.assemble import Found
from composer.training.data.data import Targets, Task
from composer.training.data.folder import FOLDERS, endings, files_below
from composer.training.data.images import EncodedImages
from composer.training.data.targets import class_targets, label_targets, targets_of_array

# Members that hold a target, of which the first that a sample has is taken.
_TARGETS = ("cls", "label", "json")
# Keys of a JSON member, likewise.
_KEYS = ("label", "class", "cls", "labels", "value", "values", "target")
# A class, or a few labels and numbers, are shorter; a longer member is no target.
_MAX_TARGET = 2**20
_MAX_SHARDS = 100_000


@dataclass(frozen=True)
class TarImages(EncodedImages):
    """Images within tars that are not compressed.

    root     the folder below which names are the same on every machine
    shards   the paths of the tars, below it
    keys     the name of each image's sample in its tar
    members  tar, offset and number of bytes of each image, b 3
    """

    root: Path
    shards: Sequence[str]
    keys: Sequence[str]
    members: np.ndarray

    def __len__(self) -> int:
        return len(self.members)

    def stream(self, index: int) -> BinaryIO:
        """The bytes of an image. Raises OSError."""
        shard, offset, size = self.members[index].tolist()
        with (self.root / self.shards[shard]).open("rb") as file:
            file.seek(offset)
            return io.BytesIO(file.read(size))

    def name(self, index: int) -> str:
        """The tar's path, and the sample in it."""
        return f"{self.root / self.shards[self.members[index, 0]]}:{self.keys[index]}"

    def key(self, index: int) -> str:
        """The tar's path below the root, and the sample in it."""
        return f"{self.shards[self.members[index, 0]]}:{self.keys[index]}"

    def identity(self, index: int) -> str:
        """The number of bytes."""
        return str(self.members[index, 2])


@dataclass
class _Sample:
    """The members of a tar that share the name before their first point."""

    shard: int
    key: str
    image: tuple[int, int] | None = None
    target: tuple[int, Any] | None = None


def is_tars(source: str) -> bool:
    """Whether a source names tars, or a folder in which a tar comes before any image. Raises InputError."""
    if is_folder(source):
        known = {".tar", *endings()}
        first = next((file.suffix for file in files_below(Path(source)) if file.suffix.lower() in known), "")
        return first == ".tar"
    return bool(re.search(r"\.tar(\.gz|\.xz|\.bz2|\.zst)?$|\.tgz$", source.lower()))


def find_tars(source: str, task: Task | None, tell: Callable[[str], None]) -> Found:
    """Images and targets in tars, whose members of one sample share the name before the first point.

    source  a tar, several as `data-{000..009}.tar`, or a folder of tars
    task    what the targets are; None: what they look like
    tell    is called with the progress

    A sample `0001` has an image, `0001.jpg`, and its target: `0001.cls` with a number or the name of a class, or
    `0001.json` with `label`, `labels` or `value`. Tars whose names hold `train`, `val` or `test` are splits. The tars
    are read once, from member to member, and not unpacked; the package webdataset only reads them in their order.
    Raises InputError.
    """
    root, shards = _shards(source)
    samples: list[_Sample] = []
    for number, shard in enumerate(shards):
        tell(f"reading the index of tar {number + 1} of {len(shards)}")
        samples += _index(root / shard, number)
    told = [sample for sample in samples if sample.image and sample.target]
    if not told:
        text = f"`{source}` holds {plural(len(samples), 'sample')}, and none has an image and a target"
        help = ("write `0001.jpg` and `0001.cls`, or `0001.json` with `label`, for each sample",)
        raise InputError(Diagnostic("data", text, label="images and their classes", help=help))
    members = np.array([[sample.shard, *(sample.image or ())] for sample in told], dtype=np.int64)
    splits = [_split(shards[sample.shard]) for sample in told]
    said = []
    if len(told) < len(samples):
        lacking = [sample.key for sample in samples if not (sample.image and sample.target)]
        said.append(f"left out {plural(len(lacking), 'sample', ',')} without image or target: {one_of(lacking, 3)}")
    images = TarImages(root, shards, [sample.key for sample in told], members)
    return Found(images, _targets(source, [sample.target[1] for sample in told if sample.target], task), splits, said)


def _shards(source: str) -> tuple[Path, list[str]]:
    path = Path(source)
    if is_folder(path):
        found = [str(file.relative_to(path)) for file in files_below(path) if file.suffix == ".tar"]
        return path, found
    paths = [Path(one) for one in _expanded(source)]
    for one in paths:
        if one.suffix != ".tar":
            text = f"`{one}` is compressed: its images cannot be read in any order"
            help = ("unpack it to a tar that is not compressed; images are compressed themselves",)
            raise InputError(Diagnostic("data", text, label="a tar", help=help))
        if problem := obstacle(one):
            raise InputError(Diagnostic("data", f"the tar `{one}` {problem}", label="a tar that is not compressed"))
    root = paths[0].parent
    if all(one.parent == root for one in paths):
        return root, [one.name for one in paths]
    return Path(), list(map(str, paths))


def _expanded(text: str) -> list[str]:
    """Names for a text with braces, as a shell reads them: `{00..12}` and `{a,b}`."""
    found = re.search(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}", text)
    if not found:
        return [text]
    if found[3] is not None:
        parts = found[3].split(",")
    else:
        first, last = int(found[1]), int(found[2])
        if abs(last - first) >= _MAX_SHARDS:
            raise InputError(Diagnostic("data", f"`{text}` names {abs(last - first) + 1:,} tars", label="fewer"))
        step = 1 if first <= last else -1
        parts = [str(number).zfill(len(found[1])) for number in range(first, last + step, step)]
    every = (text[: found.start()] + part + text[found.end() :] for part in parts)
    return [name for one in every for name in _expanded(one)]


def _index(path: Path, shard: int) -> list[_Sample]:
    samples: dict[str, _Sample] = {}
    try:
        # "r:" opens no compressed file.
        with tarfile.open(path, "r:") as file:
            for member in file:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                start, _, ending = name.partition(".")
                if not start:
                    continue
                key = f"{folder}/{start}" if folder else start
                sample = samples.setdefault(key, _Sample(shard, key))
                _take(path, file, member, sample, ending.lower())
    except (OSError, tarfile.TarError, ValueError, EOFError, OverflowError) as error:
        text = f"cannot read the tar `{path}`: {reason(error)}"
        help = ("it may be cut: copy or write it again",)
        raise InputError(Diagnostic("data", text, label="a whole tar that is not compressed", help=help)) from error
    return list(samples.values())


def _take(path: Path, file: tarfile.TarFile, member: tarfile.TarInfo, sample: _Sample, ending: str) -> None:
    if f".{ending}" in endings():
        if sample.image:
            text = f"the tar `{path}` has two images of the sample `{sample.key}`"
            raise InputError(Diagnostic("data", text, label="one image in each sample"))
        if member.sparse is not None:
            raise ValueError(f"`{member.name}` is stored with holes")
        sample.image = (member.offset_data, member.size)
    elif ending in _TARGETS and member.size <= _MAX_TARGET:
        rank = _TARGETS.index(ending)
        content = file.extractfile(member)
        value = _read(path, member.name, ending, content.read() if content else b"")
        if value is not None and (sample.target is None or rank < sample.target[0]):
            sample.target = (rank, value)


def _read(path: Path, name: str, ending: str, content: bytes) -> Any:
    """A number, a word, or a list of them; None where a JSON member has no target."""
    try:
        text = content.decode("utf-8").strip()
        found = json.loads(text) if ending == "json" else text
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        where = f"`{name}` in the tar `{path}`"
        label = "JSON" if ending == "json" else "a number or a word"
        raise InputError(Diagnostic("data", f"cannot read {where}: {reason(error)}", label=label)) from error
    if isinstance(found, dict):
        found = next((found[key] for key in _KEYS if key in found), None)
    if ending != "json" and re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    parts = found if isinstance(found, list) else [found]
    plain = all(isinstance(one, str | int | float) for one in parts) and found != ""
    return found if plain else None


def _targets(source: str, values: list[Any], task: Task | None) -> Targets:
    """Targets of what the samples hold: all numbers, all words, or lists of one of them."""
    try:
        if all(isinstance(value, str) for value in values):
            if task not in (None, "classes"):
                raise ValueError(f"are words, and the task is {task}")
            return class_targets(values)
        lists = [value for value in values if isinstance(value, list)]
        if lists and len(lists) == len(values) and all(isinstance(one, str) for value in lists for one in value):
            if task not in (None, "labels"):
                raise ValueError(f"are lists of words, and the task is {task}")
            return label_targets(values)
        if any(isinstance(one, str) for value in values for one in (value if isinstance(value, list) else [value])):
            raise ValueError("are words in some samples and numbers in others")
        return targets_of_array(np.array(values), task, None)
    except ValueError as error:
        text = f"the targets of `{source}` {error}"
        raise InputError(Diagnostic("data-target", text, label="a target of one kind for each image")) from error


def _split(shard: str) -> str:
    words: Iterator[str] = iter(re.split(r"[^a-z]+", shard.lower()))
    return next((FOLDERS[word] for word in words if word in FOLDERS), "")
