"""The reader of a source: a model file of ultralytics."""

from __future__ import annotations

from pathlib import Path

from composer.errors import Diagnostic, InputError
from composer.importing.imported import Imported
from composer.importing.ultralytics import import_model


def import_source(source: str, *, scale: str | None = None) -> Imported:
    """The spec of a network that another tool describes.

    source  a model file of ultralytics, such as yolov8n.yaml
    scale   the letter of its scale; by default that in the name of the file
    Raises SpecError with every mistake of the file, InputError for a source of another kind.
    """
    if not source.endswith((".yaml", ".yml")):
        text = f"cannot tell what `{source}` is"
        raise InputError(Diagnostic("import-source", text, label="a model file of ultralytics, such as yolov8n.yaml"))
    return import_model(Path(source), scale)
