"""The specs that travel with composer: found in a checkout and after an install alike."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """The folder of the specs: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "specs"
    return installed if installed.is_dir() else _PACKAGE.parent / "specs"


def backbones(pattern: str = "*") -> list[str]:
    """Names of the backbones that travel with composer, sorted."""
    return sorted(path.stem for path in (folder() / "backbones").glob("*.yaml") if fnmatchcase(path.stem, pattern))


def papers(pattern: str = "*") -> list[str]:
    """Names of the composed networks of papers, `papers/<paper>/<network>`, sorted."""
    root = folder()
    names = (path.relative_to(root).with_suffix("").as_posix() for path in (root / "papers").glob("*/*.yaml"))
    return sorted(name for name in names if fnmatchcase(name, pattern))


def find(name: str) -> Path | None:
    """The file of a zoo name: a backbone's stem, or `papers/<paper>/<network>`. None for any other name."""
    if name in backbones():
        return folder() / "backbones" / f"{name}.yaml"
    if name in papers():
        return folder() / f"{name}.yaml"
    return None


def find_path(path: Path) -> Path | None:
    """A path as the README writes it (`specs/papers/…`), when it is not there but travels inside the package."""
    parts = path.parts
    if not parts or parts[0] != "specs" or ".." in parts:
        return None
    candidate = folder().joinpath(*parts[1:])
    return candidate if os.path.isfile(candidate) else None


def key_maps() -> list[str]:
    """Names of the key maps that travel with composer: other libraries' names of weights -> ours."""
    return sorted(path.stem for path in (folder() / "keys").glob("*.yaml"))


def key_map(name: str) -> Path | None:
    """The file of a key map that travels with composer."""
    return folder() / "keys" / f"{name}.yaml" if name in key_maps() else None


def portable(name: str) -> str:
    """A file's name as it would be on another machine, where it travels with composer."""
    path, home = Path(name), folder()
    return f"specs/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else name


def classes(name: str) -> Path | None:
    """The file of a list of class names that travels with composer."""
    path = folder() / "classes" / f"{name}.txt"
    return path if name.isidentifier() and path.is_file() else None
