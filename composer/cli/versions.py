"""`composer --version --verbose`: versions, extras, device, and what stands in the way."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

from composer import __version__

NAME = "attention-composer"
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_PACKAGE = re.compile(r"[A-Za-z0-9._-]+")
# What people who develop composer install.
_UNSHOWN = ("test", "engines", "docs")


def found() -> dict[str, Any]:
    """This installation as plain JSON values; torch is imported for its device.

    Of each package its version, null where it is missing; `core`, `extras` and `conflicts` are null if composer is not
    installed, because then they are not known.
    """
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    facts = {"composer": __version__, "python": platform.python_version(), "platform": platform.platform()}
    told = {**facts, "torch": torch.__version__, "gpu": device, "threads": torch.get_num_threads()}
    try:
        required = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        return {**told, "core": None, "extras": None, "conflicts": None}
    core = {_name(line): _found(line) for line in required if not _EXTRA.search(line)}
    extras = {
        extra: {_name(line): _found(line) for line in lines} for extra, lines in sorted(_by_extra(required).items())
    }
    return {**told, "core": core, "extras": extras, "conflicts": list(conflicts(required))}


def report() -> Iterator[str]:
    """The same in lines."""
    told = found()
    yield f"composer {told['composer']}, Python {told['python']}, {told['platform']}"
    yield f"torch {told['torch']}, {told['gpu'] or 'no GPU'}, {told['threads']} threads"
    if told["core"] is None:
        yield "composer is not installed: extras and conflicts are not known"
        return
    yield f"core: {_versions(told['core'])}"
    for extra, packages in told["extras"].items():
        missing = [name for name, version in packages.items() if version is None]
        yield f"{extra}: not installed: {', '.join(missing)}" if missing else f"{extra}: {_versions(packages)}"
    yield from told["conflicts"]


def conflicts(required: Sequence[str]) -> Iterator[str]:
    """A sentence for each package that is older than composer needs, and for another package of composer's name."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return
    for line in required:
        one = Requirement(line)
        found = _found(line)
        if found is not None and not one.specifier.contains(found, prereleases=True):
            yield f"conflict: {one.name} {found} is installed, and composer needs {one.specifier}"
    for other in ("mosaicml", "composer"):
        if _installed(other) is not None:
            yield f"conflict: the package `{other}` has a module `composer` of its own: uninstall one of the two"


def _by_extra(required: Sequence[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in required:
        match = _EXTRA.search(line)
        if match and match[1] not in _UNSHOWN and _name(line) != NAME:
            found.setdefault(match[1], []).append(line)
    return found


def _name(line: str) -> str:
    match = _PACKAGE.match(line)
    return match[0] if match else line


def _found(line: str) -> str | None:
    return _installed(_name(line))


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _versions(packages: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'missing'}" for name, version in packages.items())
