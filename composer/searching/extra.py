"""The package that searches, which is an extra."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from composer.errors import Diagnostic, UnavailableError


def optuna() -> Any:
    """Optuna, quiet. Raises UnavailableError without the extra `sweep`."""
    try:
        found = importlib.import_module("optuna")
    except ImportError as error:
        text, help = "a search needs the package `optuna`", ("pip install 'attention-composer[sweep]'",)
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help)) from error
    found.logging.set_verbosity(found.logging.ERROR)
    # Samplers that learn from trials that run are an experiment to Optuna.
    warnings.filterwarnings("ignore", category=found.exceptions.ExperimentalWarning)
    return found
