"""A model file of ultralytics -> a spec, with every mistake of the file told at once."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from composer.errors import Diagnostic, SpecError
from composer.importing.imported import Imported
from composer.importing.ultralytics.file import ModelFile, read_model
from composer.importing.ultralytics.layers import HEADS, read_layers
from composer.importing.ultralytics.spec_text import lay_out, spec_text

_OF_ROW = re.compile(r"(?:model|blocks\.model\.nodes)\.(\d+)\b")


def import_model(path: Path, scale: str | None = None) -> Imported:
    """The spec of a model file.

    path   a file such as yolov8n.yaml, or yolov8.yaml for any scale
    scale  the letter of a scale; by default that in the name of the file
    Raises SpecError with every mistake of the file.
    """
    problems: list[Diagnostic] = []
    model = read_model(path, scale, problems.append)
    layers = read_layers(model, problems.append)
    if not problems and all(one.row.module in HEADS for one in layers):
        text = "the model file has no rows" + (" before its head" if layers else "")
        problems.append(model.origin.problem("import-file", text, "rows of modules", path=""))
    SpecError.check(problems)
    layout = lay_out(model, layers)
    text = spec_text(model, layers, layout, path.name)
    return Imported(model.name, text, layout.notes, lambda problem: _at_row(problem, model))


def _at_row(problem: Diagnostic, model: ModelFile) -> Diagnostic:
    """A problem of the composed network, at the row whose node has it."""
    match = _OF_ROW.match(problem.path)
    rows = {row.number: row for row in model.rows}
    if match is None or int(match[1]) not in rows:
        return replace(problem, location=None)
    row = rows[int(match[1])]
    return replace(problem, location=row.origin.location(), path=f"row {row.number}, {problem.path}")
