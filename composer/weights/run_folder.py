"""The weights of a run: of a folder that `composer train` wrote."""

from __future__ import annotations

import json
from pathlib import Path

from composer.errors import Diagnostic, WeightsError
from composer.paths import PATH_ERRORS

CHECKPOINTS, LAST = "checkpoints", "last.json"


def best_of(folder: Path) -> Path | None:
    """The file of the best weights of a run, by validation; None for a path that is no run.

    Raises WeightsError for a run that has none yet.
    """
    path = folder / CHECKPOINTS / LAST
    try:
        best = json.loads(path.read_text(encoding="utf-8"))["progress"]["best"]
    except (*PATH_ERRORS, ValueError, KeyError, TypeError):
        return None
    if best is None:
        text = f"the run `{folder}` has no weights yet: its first epoch is not over"
        raise WeightsError(Diagnostic("weights-file", text, help=(f"composer resume {folder}",)))
    file = best.get("file") if isinstance(best, dict) else None
    # A file that was changed must not name one elsewhere.
    return folder / CHECKPOINTS / file if isinstance(file, str) and Path(file).name == file else None
