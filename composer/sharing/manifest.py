"""The record in a lock file: which files belong to a network, by what they were made, and their hashes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from composer.errors import Diagnostic, InputError, one_of
from composer.spec.document import Document
from composer.spec.fingerprint import fingerprint
from composer.spec.origin import Origin
from composer.spec.references import read_file

LOCK, GRAPH, WEIGHTS, PICTURE = ".lock.yaml", ".graph.json", ".safetensors", ".svg"
CARD = "README.md"
# The folder of plugin files.
PLUGINS = "plugins"
CODE, BLOCKS = ".py", (".yaml", ".yml")
MAX_FILES = 256
# A name that is the same file on every system, and cannot lead out of the folder.
_NAME = re.compile(r"(?![.-])[\w.-]{1,200}(?<!\.)", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """What a lock says of the files beside it. All names are relative to the folder and lie inside it.

    name      the name of the lock
    document  the lock
    files     name -> SHA-256, without the lock itself
    record    the lock's `lock`
    """

    name: str
    document: Document
    files: Mapping[str, str]
    record: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest of a lock file. Raises SpecError if it is no YAML, InputError if it is no lock of a build."""
        document = read_file(path)
        content = document.plain()
        record = content.get("lock") if isinstance(content, dict) else None
        origin = Origin(document) / "lock"
        if not isinstance(record, dict):
            text, help = f"`{path.name}` has no record of what it was built with", (_AGAIN,)
            raise InputError(Origin(document).problem("lock", text, "`lock`, as `composer build -o` writes it", help))
        files = record.get("sha256")
        if not isinstance(files, dict) or not files:
            raise InputError(origin.problem("lock", f"`{path.name}` names no files", "`sha256`: name and hash of each"))
        InputError.check(_wrong_files(files, origin / "sha256"))
        found = cls(path.name, document, files, record)
        for ending in (GRAPH, WEIGHTS):
            found.one(ending)
        return found

    def one(self, ending: str) -> str:
        """The name of the only file with an ending. Raises InputError unless there is one."""
        found = [name for name in self.files if name.endswith(ending)]
        if len(found) != 1:
            text = f"`{self.name}` names {len(found)} files that end in `{ending}`"
            raise InputError(self.origin("sha256").problem("lock", text, "one"))
        return found[0]

    @property
    def plugins(self) -> dict[str, Any]:
        """Plugins by the name of their file here, or of their package -> what the lock says of them."""
        found = self.record.get("plugins")
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> list[str]:
        """Names of the files that hold code."""
        return [name for name in self.files if name.endswith(CODE)]

    def origin(self, *steps: str) -> Origin:
        """A place in the record."""
        found = Origin(self.document) / "lock"
        for step in steps:
            found = found / step
        return found

    def check_spec(self) -> None:
        """Raises InputError if the spec is another than the one that the lock was written with."""
        expected, found = self.record.get("spec"), fingerprint(self.document.plain())
        if expected != found:
            text = (
                f"the spec in `{self.name}` was changed after the lock was written"
                if expected
                else f"`{self.name}` does not say what its spec was"
            )
            help = (_AGAIN, f"or take it as a spec of your own: `composer build {self.name}`")
            raise InputError(self.origin("spec").problem("lock", text, f"a spec with the hash {found[:12]}…", help))


_AGAIN = "write the folder again: `composer build SPEC --weights FILE -o FOLDER`"


def _wrong_files(files: Mapping[Any, Any], origin: Origin) -> Iterator[Diagnostic]:
    """A problem per name that may not be read or written, and per hash that is none."""
    if len(files) > MAX_FILES:
        text = f"the lock names {len(files):,} files"
        yield origin.problem("lock", text, f"at most {MAX_FILES}", key=True)
    known = {CARD.casefold()}
    for name, digest in files.items():
        here = origin / str(name)
        if not is_safe(str(name)):
            label = f"a plain file name that ends in {GRAPH}, {WEIGHTS} or {PICTURE}, or a file in `{PLUGINS}/`"
            yield here.problem("lock", f"`{name}` is no file that a network may have", label, key=True)
        elif str(name).casefold() in known:
            yield here.problem(
                "lock", f"`{name}` is named twice, but for upper and lower case", "other names", key=True
            )
        elif not isinstance(digest, str) or not _HASH.fullmatch(digest):
            yield here.problem("lock", f"`{digest}` is no hash", "SHA-256, 64 letters of 0-9 and a-f")
        known.add(str(name).casefold())


def is_plain(name: str) -> bool:
    """Whether a text is the name of a file on every system, without a folder."""
    return _NAME.fullmatch(name) is not None


def is_safe(name: str) -> bool:
    """Whether a file of this name may belong to a network: the name leads nowhere else, and its ending is known.

    >>> [is_safe(one) for one in ("net.safetensors", "plugins/gate.py", "../net.safetensors", "net.pt", "gate.py")]
    [True, True, False, False, False]
    """
    parts = name.split("/")
    if not all(map(is_plain, parts)):
        return False
    if len(parts) == 1:
        return name.endswith((GRAPH, WEIGHTS, PICTURE))
    return parts[0] == PLUGINS and 2 <= len(parts) <= 4 and PurePosixPath(name).suffix in (CODE, *BLOCKS)


def find_lock(folder: Path, name: str | None = None) -> Path:
    """The lock file of a folder. Raises InputError unless there is one, or one of this name."""
    if not folder.is_dir():
        text = f"`{folder}` is a file" if folder.exists() else f"there is no folder `{folder}`"
        help = ("`composer build SPEC -o FOLDER` writes one, `composer pull hf:USER/NAME -o FOLDER` fetches one",)
        raise InputError(Diagnostic("folder", text, label="a folder with a network", help=help))
    found = sorted(path.name for path in folder.glob(f"*{LOCK}"))
    if name is not None and name in found:
        return folder / name
    if name is not None or len(found) != 1:
        what = f"no `{name}`" if name is not None else f"{len(found)} networks" if found else "no network"
        listed = f", only {one_of(found)}" if name and found else f": {one_of(found)}" if found else ""
        text = f"`{folder}` holds {what}{listed}"
        which = ("say which: `lock=` in Python, or the file itself on the command line",) if len(found) > 1 else ()
        raise InputError(Diagnostic("folder", text, label=f"one file that ends in {LOCK}", help=which))
    return folder / found[0]
