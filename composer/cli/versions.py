"""`composer --version --verbose`: versions, extras, device, and what stands in the way."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from composer import __version__

NAME = "attention-composer"
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_PACKAGE = re.compile(r"[A-Za-z0-9._-]+")
# What people who develop composer install.
_UNSHOWN = ("test", "engines", "docs")


def report() -> Iterator[str]:
    """Lines on this installation; torch is imported for its device."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    yield f"composer {__version__}, Python {platform.python_version()}, {platform.platform()}"
    yield f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads"
    try:
        required = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        yield "composer is not installed: extras and conflicts are not known"
        return
    core = [line for line in required if not _EXTRA.search(line)]
    yield f"core: {', '.join(_version(line) for line in core)}"
    for extra, lines in sorted(_by_extra(required).items()):
        missing = [_name(line) for line in lines if _found(line) is None]
        if missing:
            yield f"{extra}: not installed: {', '.join(missing)}"
        else:
            yield f"{extra}: {', '.join(_version(line) for line in lines)}"
    yield from conflicts(required)


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


def _version(line: str) -> str:
    return f"{_name(line)} {_found(line) or 'missing'}"
