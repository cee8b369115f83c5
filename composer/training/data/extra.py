"""Packages of the extra `train`."""

from __future__ import annotations

import importlib
from typing import Any

from composer.errors import Diagnostic, UnavailableError


def library(module: str, what: str) -> Any:
    """A module of a package that is an extra. Raises UnavailableError if it cannot be imported.

    module  its dotted name
    what    what needs it, for the message
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = {"sklearn": "scikit-learn"}.get(name := module.partition(".")[0], name)
        help = ('pip install "attention-composer[train]"',)
        text = f"`{what}` needs {package}, which cannot be imported: {error}"
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help)) from error
