"""The public names of `composer`, under the name of its distribution, which no other package has.

MosaicML's Composer installs a package and a command of the same name, and the one installed last replaces the other.
`import attention_composer` says which one it was: it gives composer's names, or raises ImportError with the name of
the distribution whose `composer` was found. `python -m attention_composer` is the command line in the same way.
The wheel has this file beside the package.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib import metadata
from types import ModuleType
from typing import Any

DISTRIBUTION = "attention-composer"


def _ours() -> ModuleType:
    """The package `composer`. Raises ImportError if what is found under this name is another one."""
    try:
        found = importlib.import_module("composer")
    except Exception as error:
        text = f"{_of(None)}: importing it failed: {type(error).__name__}: {error}"
        raise ImportError(text, name="composer") from error
    if getattr(found, "__distribution__", None) != DISTRIBUTION:
        raise ImportError(_of(found), name="composer", path=getattr(found, "__file__", None))
    return found


def _of(found: ModuleType | None) -> str:
    """A sentence on whose `composer` was found (None: it cannot be imported), and what to do."""
    file = getattr(found, "__file__", None) or next(iter(getattr(found, "__path__", [])), None)
    others = [name for name in _owners() if found is None or _has(name, file)]
    where = f" at {file}" if file else ""
    if not others:
        help = "rename that file or folder, or start Python elsewhere" if file else f"`pip install {DISTRIBUTION}`"
        return f"the module `composer`{where} is not that of {DISTRIBUTION}: {help}"
    remove = f"`pip uninstall {' '.join(others)}`"
    again = f"`pip install --force-reinstall --no-deps {DISTRIBUTION}`"
    return (
        f"the module `composer`{where} is that of {' and '.join(others)}, not that of {DISTRIBUTION}, and an "
        f"environment can have one of them: {remove}, then {again}"
    )


def _owners() -> list[str]:
    """The other distributions that have a module `composer`."""
    return sorted({name for name in metadata.packages_distributions().get("composer", []) if name != DISTRIBUTION})


def _has(name: str, file: str | None) -> bool:
    """Whether a file is of a distribution."""
    known = (str(one.locate()) for one in metadata.files(name) or ())
    return file is not None and os.path.realpath(file) in map(os.path.realpath, known)


if __name__ == "__main__":
    try:
        _ours()
    except ImportError as error:
        sys.exit(f"error: {error}")
    importlib.import_module("composer.__main__").main()

_composer = _ours()
__version__ = _composer.__version__
__all__ = list(_composer.__all__)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(_composer, name)
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
