"""Imports of a plugin file besides packages: the files beside it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

# Modules imported from beside a plugin file -> their folder.
_found: dict[str, Path] = {}


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """A context in which files and packages of a folder can be imported, after everything that is installed.

    Imported modules keep their plain names, for pickles and later imports of the same plugin. If another plugin has a
    file of the same name, each gets its own module, and the first keeps the name.
    """
    names = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    others = {name: module for name, module in _modules(names) if _found.get(_first(name), folder) != folder}
    for name in others:
        del sys.modules[name]
    sys.path.append(str(folder))
    # Python caches the content of a folder, and files may have been added since.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in _modules(names):
            if Path(getattr(module, "__file__", None) or "").is_relative_to(folder):
                _found.setdefault(_first(name), folder)
        sys.modules.update(others)


def _modules(names: set[str]) -> list[tuple[str, ModuleType]]:
    """The loaded modules with one of these names, and their submodules."""
    return [(name, module) for name, module in sys.modules.items() if _first(name) in names]


def _first(name: str) -> str:
    return name.partition(".")[0]
