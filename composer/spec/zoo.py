"""The specs that travel with composer, found in a checkout and after an install alike."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

# Folders of networks besides backbones and the papers' rows: on maps, detectors without their heads, on videos.
ROOMS = ("necks", "segmentation", "detection", "video")
_PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """The folder of the specs: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "specs"
    return installed if installed.is_dir() else _PACKAGE.parent / "specs"


def backbones(pattern: str = "*") -> list[str]:
    """Names of composer's backbones that match the pattern, sorted."""
    return sorted(path.stem for path in (folder() / "backbones").glob("*.yaml") if fnmatchcase(path.stem, pattern))


def papers(pattern: str = "*") -> list[str]:
    """Names of the papers' networks that match the pattern, `papers/<paper>/<network>`, sorted."""
    return _below("papers/*/*.yaml", pattern)


def others(room: str = "*", pattern: str = "*") -> list[str]:
    """Names of further networks that match the pattern, `<room>/<network>`, of a room or of all ROOMS, sorted."""
    return sorted(name for one in ROOMS if fnmatchcase(one, room) for name in _below(f"{one}/*.yaml", pattern))


def names() -> list[str]:
    """The names of all networks."""
    return [*backbones(), *others(), *papers()]


def _below(glob: str, pattern: str) -> list[str]:
    root = folder()
    found = (path.relative_to(root).with_suffix("").as_posix() for path in root.glob(glob))
    return sorted(name for name in found if fnmatchcase(name, pattern))


def find(name: str) -> Path | None:
    """The file of a name in the zoo: a backbone, `papers/<paper>/<network>` or `<room>/<network>`. None for others."""
    room, _, network = name.rpartition("/")
    first, _, paper = room.partition("/")
    home = folder() / (room or "backbones")
    known = room in ("", *ROOMS) or (first == "papers" and paper in os.listdir(folder() / first) and home.is_dir())
    # Listed, because some file systems find a file by any spelling of its name.
    return home / f"{network}.yaml" if known and f"{network}.yaml" in os.listdir(home) else None


def find_path(path: Path) -> Path | None:
    """The packaged file for a path as the README writes it (`specs/papers/…`), if there is one; otherwise None."""
    parts = path.parts
    if not parts or parts[0] != "specs" or ".." in parts:
        return None
    candidate = folder().joinpath(*parts[1:])
    return candidate if os.path.isfile(candidate) else None


def key_maps() -> list[str]:
    """Names of composer's key maps: other libraries' names of weights -> ours."""
    return sorted(path.stem for path in (folder() / "keys").glob("*.yaml"))


def key_map(name: str) -> Path | None:
    """The file of composer's key map of this name; None for any other name."""
    return folder() / "keys" / f"{name}.yaml" if name in key_maps() else None


def recipes() -> list[str]:
    """Names of composer's recipes for training."""
    return sorted(path.stem for path in (folder() / "recipes").glob("*.yaml"))


def recipe(name: str) -> Path | None:
    """The file of composer's recipe of this name; None for any other name."""
    return folder() / "recipes" / f"{name}.yaml" if name in recipes() else None


def portable(name: str) -> str:
    """A file's name as it is on any machine, if the file travels with composer; other names unchanged."""
    path, home = Path(name), folder()
    return f"specs/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else name


def classes(name: str) -> Path | None:
    """The file of composer's list of class names of this name; None for any other name."""
    path = folder() / "classes" / f"{name}.txt"
    return path if name.isidentifier() and path.is_file() else None
