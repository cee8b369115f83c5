"""The reader of a source: a model that a library names, or a model file of ultralytics."""

from __future__ import annotations

from pathlib import Path

from composer.errors import Diagnostic, InputError
from composer.importing.imported import Imported
from composer.importing.ultralytics import import_model
from composer.spec import zoo
from composer.spec.model_source import short_form


def import_source(source: str, *, scale: str | None = None, allow_code: bool = False) -> Imported:
    """The spec of a network that another tool describes.

    source  a model file of ultralytics, such as yolov8n.yaml; or a model of a library, such as timm:resnet50
    scale   the letter of a model file's scale; by default that in the name of the file
    allow_code  whether a source may be code: `package.module:factory`
    Raises SpecError with every mistake of the file, GraphError with every node of a model that no layer is, InputError
    for a source of another kind.
    """
    if source.endswith((".yaml", ".yml")):
        return import_model(Path(source), scale)
    if short_form(source) is not None:
        from composer.importing.recorded.source import import_named

        return import_named(source, allow_code=allow_code)
    if zoo.find(source) is not None:
        help = (f"a spec starts from it with `backbone: {source}`; `composer show {source}` explains it",)
        raise InputError(Diagnostic("import-source", f"`{source}` is a spec of composer's zoo already", help=help))
    text = f"cannot tell what `{source}` is"
    label = "a model file of ultralytics, such as yolov8n.yaml, or a model of a library, such as timm:resnet50"
    raise InputError(Diagnostic("import-source", text, label=label))
