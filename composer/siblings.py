"""What a plugin file may import besides packages: the files beside it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

# Modules that plugin files found beside them, and the folder of each.
_found: dict[str, Path] = {}


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """While this lasts, files and packages of a folder can be imported, behind everything that is installed.

    What was imported stays a module under its plain name, for pickles and later imports of the same plugin. Where
    another plugin has a file of that name, each gets its own, and the first keeps the name.
    """
    names = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    others = {name: module for name, module in _modules(names) if _found.get(_first(name), folder) != folder}
    for name in others:
        del sys.modules[name]
    sys.path.append(str(folder))
    # Python remembers what a folder held, and somebody may have added to it since.
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
    """Those that are loaded under one of these names, and below it."""
    return [(name, module) for name, module in sys.modules.items() if _first(name) in names]


def _first(name: str) -> str:
    return name.partition(".")[0]
