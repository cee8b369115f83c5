"""Lets a plugin file import the files beside it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

# Name of a module that a plugin file imported from its folder -> the folder.
_found: dict[str, Path] = {}


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """In this context, files and packages of a folder can be imported; installed packages come first.

    Imported modules keep their plain names in `sys.modules`, for pickles and later imports of the same plugin. If two
    plugins have files of the same name, each gets its own, and the first keeps the name.
    """
    names = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    others = {name: module for name, module in _modules(names) if _found.get(_first(name), folder) != folder}
    for name in others:
        del sys.modules[name]
    sys.path.append(str(folder))
    # Python caches the content of a folder, which may have changed since.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in _modules(names):
            if Path(getattr(module, "__file__", None) or "").is_relative_to(folder):
                _found.setdefault(_first(name), folder)
        sys.modules.update(others)


def imported_from(folder: Path) -> list[Path]:
    """The files of a folder that plugin files beside them have imported, sorted."""
    names = {name for name, home in _found.items() if home == folder}
    files = [Path(getattr(module, "__file__", None) or "") for _, module in _modules(names)]
    return sorted({file for file in files if file.is_relative_to(folder) and file.is_file()})


def _modules(names: set[str]) -> list[tuple[str, ModuleType]]:
    """Loaded modules with these names, and their submodules."""
    return [(name, module) for name, module in sys.modules.items() if _first(name) in names]


def _first(name: str) -> str:
    return name.partition(".")[0]
