"""A Spec as plain values that later versions can read, for the files of pickled networks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from composer.errors import SpecError
from composer.spec.document import Document
from composer.spec.load import assemble
from composer.spec.origin import Origin
from composer.spec.references import LoadedFile
from composer.spec.settings import Setting
from composer.spec.spec import Spec
from composer.spec.structure import validate
from composer.spec.yaml import decode, read

# Keys that refer to other files. The list of classes is stored itself; weights are in the network.
_ELSEWHERE = ("classes", "weights")


def to_portable(spec: Spec) -> dict[str, Any]:
    """The texts of a spec's files and its overrides, as mappings, lists and strings.

    It names no folder, so that the network can be loaded anywhere.
    """
    return {
        "files": [_file(document) for document in _documents(spec)],
        "settings": [] if spec.parts else [[list(one.steps), one.value.plain()] for one in spec.overrides],
        "rules": len(spec.every_rule),
        "classes": None if spec.classes is None else list(spec.classes),
    }


def from_portable(portable: dict[str, Any]) -> Spec:
    """The Spec again. Raises SpecError if this version of the language cannot read it."""
    files = tuple(map(_loaded, portable["files"]))
    settings = tuple(
        Setting(tuple(steps), Document.from_mapping({"": value}).root.data[""]) for steps, value in portable["settings"]
    )
    # Whoever unpickles a network has let it run code.
    spec = assemble(files, settings, allow_code=True)
    classes = portable["classes"]
    return replace(spec.with_rules(portable["rules"]), classes=None if classes is None else tuple(classes))


def _documents(spec: Spec) -> list[Document]:
    """The texts of a spec; of one with networks inside, a single text without references, which reads like a lock."""
    if not spec.parts:
        return [file.origin.document for file in spec.files]
    return [Document.from_mapping({**spec.to_mapping(), "lock": {}}, spec.origin.document.source.name)]


def _file(document: Document) -> dict[str, Any]:
    name, text = os.path.basename(document.source.name), document.source.text
    # Settings may have changed the values, so that the text no longer spells them.
    says = bool(text) and _reads_as(text, document)
    return {"name": name, **({"text": text} if says else {"value": document.plain()})}


def _reads_as(text: str, document: Document) -> bool:
    try:
        return bool(read(decode(text.encode(), document.source.name)).plain() == document.plain())
    except (SpecError, UnicodeEncodeError):
        return False


def _loaded(file: dict[str, Any]) -> LoadedFile:
    name = file["name"]
    written = (
        read(decode(file["text"].encode(), name)) if "text" in file else Document.from_mapping(file["value"], name)
    )
    here = {key: value for key, value in written.root.data.items() if key not in _ELSEWHERE}
    document = replace(written, root=replace(written.root, data=here))
    return LoadedFile(validate(document), Origin(document), None, Path())
