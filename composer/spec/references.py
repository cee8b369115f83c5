"""From a path or a name to files: what a spec may refer to, and that references stay inside its folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.errors import Diagnostic, SpecError, did_you_mean, suggest
from composer.paths import PATH_ERRORS, reason
from composer.spec import zoo
from composer.spec.document import Document
from composer.spec.form import check_model
from composer.spec.hub import hub_of
from composer.spec.model import SourceSpec, SpecFile, WeightsSpec
from composer.spec.model_source import FILE, ModelSource, is_graph_file, short_form
from composer.spec.origin import Origin
from composer.spec.sources import wrong_source
from composer.spec.structure import validate
from composer.spec.wrong_files import near, no_spec
from composer.spec.yaml import MAX_BYTES, decode, read

MAX_REFERENCES = 16
NO_WEIGHTS = "none"


# Weights, and where they are written.
FoundWeights = tuple[WeightsSpec, Origin]


@dataclass(frozen=True)
class LoadedFile:
    """A file of a spec: its content, where it is, and the folder that its references must not leave.

    `trail` are the files through which it was reached.
    """

    content: SpecFile
    origin: Origin
    path: Path | None
    root: Path
    trail: tuple[Path, ...] = ()


def open_source(source: str | Path | Mapping[str, Any]) -> tuple[Document, Path | None]:
    """The document of a path, a name of the zoo or a mapping, and its path if it has one. Raises SpecError."""
    if isinstance(source, Mapping):
        return Document.from_mapping(source), None
    if not isinstance(source, str | Path):
        raise SpecError(wrong_source(source))
    text = str(source)
    if is_graph_file(text):
        return Document.from_mapping({"backbone": {FILE: Path(text).name}}, text), Path(text)
    if isinstance(source, str) and (named := _short_form(text)) is not None:
        return Document.from_mapping({"backbone": named.to_mapping()}, text), None
    if "\n" in text:
        help = ("write it to a file",)
        raise SpecError(Diagnostic("source", "a spec is given by path or name, not as text", help=help))
    path = _find(text) if isinstance(source, str) else Path(source)
    if os.path.isfile(path) and (problem := no_spec(path)):
        raise SpecError(problem)
    return read_file(path), path


def _short_form(text: str) -> SourceSpec | None:
    """The model of another library that a text names; None for a name of the zoo or a path."""
    is_path = text.endswith((".yaml", ".yml")) or os.path.exists(text)
    return None if is_path and not is_graph_file(text) else short_form(text)


def _find(text: str) -> Path:
    path = Path(text)
    found = zoo.find(text) or (None if os.path.exists(path) else zoo.find_path(path))
    if found is not None:
        return found
    if not text or (path.suffix not in (".yaml", ".yml") and not os.path.exists(path)):
        known = zoo.names()
        hint = did_you_mean(text, known, "`composer list backbones` shows all; a file's path ends in .yaml")
        raise SpecError(Diagnostic("unknown-spec", f"no spec is called `{text}`", help=hint))
    return path


def read_file(path: Path) -> Document:
    """The document of a file. Raises SpecError if it is missing, not a regular file, too large or not YAML."""
    return read(decode(_read_bytes(path), str(path)))


def family(name: str) -> str:
    """The network of the zoo whose file is the nearest to write nodes of this network of the zoo."""
    while True:
        folder = zoo.folder() if "/" in name else zoo.folder() / "backbones"
        content = read_file(folder / f"{name}.yaml").plain()
        if "nodes" in content:
            return name
        name = content["backbone"]


def with_site(site: str) -> list[str]:
    """Names of composer's backbones whose files give nodes this site, by the text of the file that writes the nodes."""
    texts: dict[str, bool] = {}
    written = re.compile(rf"\bsite: .*\b{re.escape(site)}\b")
    for name in zoo.backbones():
        first = family(name)
        if first not in texts:
            texts[first] = bool(
                written.search((zoo.folder() / "backbones" / f"{first}.yaml").read_text(encoding="utf-8"))
            )
        texts[name] = texts[first]
    return [name for name in zoo.backbones() if texts[name]]


def _read_bytes(path: Path) -> bytes:
    try:
        # Reading a pipe or a device may block or never end.
        if os.path.exists(path) and not os.path.isfile(path):
            raise SpecError(Diagnostic("unreadable", f"`{path}` is not a regular file", label="a YAML file"))
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except PATH_ERRORS as error:
        help = near(path) if isinstance(error, FileNotFoundError) else ()
        raise SpecError(Diagnostic("unreadable", f"cannot read `{path}`: {reason(error)}", help=help)) from error


def home(path: Path | None, root: str | Path | None) -> Path:
    """The folder that the references of a spec must not leave. Raises SpecError."""
    try:
        if root is not None:
            found = Path(root).resolve(strict=True)
            if not found.is_dir():
                raise NotADirectoryError
            return found
        folder = path.parent.resolve() if path else Path.cwd()
    except PATH_ERRORS as error:
        raise SpecError(Diagnostic("root", f"there is no folder `{root or path}`", label="a folder")) from error
    return zoo.folder().resolve() if folder.is_relative_to(zoo.folder().resolve()) else folder


def follow(file: LoadedFile) -> tuple[LoadedFile, ...]:
    """The chain of files from this file to the one that writes the nodes or stands for a model. Raises SpecError."""
    chain = [file]
    while (reference := chain[-1].content.backbone) is not None:
        origin = chain[-1].origin / "backbone"
        source = _short_form(reference) if isinstance(reference, str) else reference
        if source is not None:
            SpecError.check(check_model(source, origin))
            chain.append(_source_file(_with_path(source, chain[-1], origin), chain[-1]))
            break
        assert isinstance(reference, str), "what is no model is a name or a path"
        path, root = _resolve(reference, chain[-1], origin)
        before = [*file.trail, *(one.path for one in chain if one.path)]
        if path.resolve() in [one.resolve() for one in before]:
            trail = " -> ".join(map(str, [*before, path]))
            raise SpecError(origin.problem("cycle", "the backbone refers back to itself", "another spec", (trail,)))
        if len(file.trail) + len(chain) >= MAX_REFERENCES:
            text = f"more than {MAX_REFERENCES} specs refer to one another"
            raise SpecError(origin.problem("depth", text, "a spec nearer to its nodes"))
        document = read_file(path)
        chain.append(LoadedFile(validate(document), Origin(document), path, root, tuple(before)))
    return tuple(chain)


def _source_file(source: SourceSpec, file: LoadedFile) -> LoadedFile:
    """A file that stands for a model of another library. What the library knows of the model is filled in later."""
    model = ModelSource.of(source, file.origin)
    name = model.name.rpartition(":")[2].rpartition(".")[2] if model.library == "python" else model.name
    name = Path(name).stem if model.library == FILE else name
    document = Document.from_mapping({"name": name, "backbone": source.to_mapping()}, str(model))
    return LoadedFile(validate(document), Origin(document), None, file.root)


def _with_path(source: SourceSpec, file: LoadedFile, origin: Origin) -> SourceSpec:
    """The model with the whole path of its file, if it is one. Raises SpecError."""
    if source.file is None:
        return source
    path = _inside(source.file, file, origin)
    if path is None:
        label = "a file, its path relative to this one's" if file.path else "a file below the working folder"
        raise SpecError(origin.problem("graph-file", f"there is no file `{source.file}`", label))
    return source.model_copy(update={FILE: str(path)})


def _resolve(reference: str, file: LoadedFile, origin: Origin) -> tuple[Path, Path]:
    if not reference.endswith((".yaml", ".yml")):
        path = zoo.find(reference)
        if path is None:
            near = did_you_mean(reference, zoo.backbones(), "`composer list backbones` shows all")
            none = f"composer has no `{reference}`; `composer list backbones` shows what it has"
            hint = near if suggest(reference, zoo.backbones()) else (none,)
            text = f"unknown backbone `{reference}`"
            raise SpecError(origin.problem("unknown-backbone", text, "a name of the zoo, or a .yaml file", hint))
        return path, zoo.folder().resolve()
    path = _inside(reference, file, origin)
    if path is None:
        label = "a file, its path relative to this one's" if file.path else "a file below the working folder"
        raise SpecError(origin.problem("unknown-backbone", f"there is no file `{reference}`", label))
    return path, file.root


def _inside(reference: str, file: LoadedFile, origin: Origin) -> Path | None:
    """The regular file that a reference means, or None. Raises SpecError if the file lies outside the folder."""
    path = (file.path.parent if file.path else file.root) / reference
    try:
        if not path.resolve().is_relative_to(file.root):
            help = ("copy the file below that folder, or name a wider one with --root",)
            label = "a file below the folder of the spec that was asked for"
            raise SpecError(origin.problem("outside-root", f"`{reference}` leaves the spec's own tree", label, help))
    except PATH_ERRORS:
        return None
    return path if os.path.isfile(path) else None


def find_weights(weights: WeightsSpec, file: LoadedFile, origin: Origin) -> FoundWeights:
    """Weights that a file names at `origin`, with settled paths, and where. Raises SpecError."""
    changes: dict[str, Any] = {}
    if weights.source != NO_WEIGHTS and hub_of(weights.source) is None:
        changes["source"] = _weights_file(weights.source, file, (origin / "source").written)
    if weights.keys is not None and zoo.key_map(weights.keys) is None:
        changes["keys"] = _key_map_file(weights.keys, file, origin / "keys")
    return weights.model_copy(update=changes), origin


def _weights_file(source: str, file: LoadedFile, origin: Origin) -> str:
    path = _inside(source, file, origin)
    if path is None:
        label = "a file, its path relative to this one's" if file.path else "a file below the working folder"
        help = _weights_help(source)
        raise SpecError(origin.problem("weights", f"there is no weights file `{source}`", label, (help,)))
    return str(path)


def _weights_help(source: str) -> str:
    """How to name weights that a spec must not name in this way."""
    if source.startswith("~"):
        return (
            "a spec is read by others too, so `~` means nobody's home: write the path from its folder, or `--weights`"
        )
    if "://" in source:
        return "a spec names no address: download the file and write its path, or `hf:OWNER/NAME/FILE`"
    return "weights of a hub are written `timm:…`, `torchvision:…` or `hf:…`"


def _key_map_file(name: str, file: LoadedFile, origin: Origin) -> str:
    path = _inside(name, file, origin) if name.endswith((".yaml", ".yml")) else None
    if path is None:
        hint = did_you_mean(name, zoo.key_maps(), "`composer list keys` shows all; a file's path ends in .yaml")
        raise SpecError(origin.problem("weights", f"there is no key map `{name}`", "one of the zoo, or a file", hint))
    return str(path)


def read_classes(file: LoadedFile) -> tuple[str, ...] | None:
    """The class names that a file lists or refers to; None if it has none. Raises SpecError."""
    value = file.content.classes
    if value is None or isinstance(value, list):
        return None if value is None else tuple(value)
    origin = file.origin / "classes"
    path = zoo.classes(value) or (_inside(value, file, origin) if value.endswith(".txt") else None)
    if path is None:
        label = "a list of names, `imagenet1k`, or a .txt file with a name a line"
        raise SpecError(origin.problem("classes", f"there are no class names `{value}`", label))
    return tuple(decode(_read_bytes(path), str(path)).text.splitlines())
