"""A source (path, zoo name, mapping) -> a Spec: files read, references followed, vars settled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.errors import Diagnostic, SpecError
from composer.spec.check import check_spec
from composer.spec.document import Document
from composer.spec.expression import escape
from composer.spec.hub import hub_of
from composer.spec.model import BlockSpec, InputSpec, NodeSpec, Published, Rule, WeightsSpec
from composer.spec.origin import Origin
from composer.spec.references import NO_WEIGHTS, LoadedFile, find_weights, follow, home, open_source, read_classes
from composer.spec.settings import Setting, apply_settings, is_var, read_settings
from composer.spec.settle import settle_inputs, settle_vars
from composer.spec.structure import validate


@dataclass(frozen=True)
class Spec:
    """A validated network description with its references settled. Immutable; prints as its name and files.

    `files` runs from the file that was asked for to the one that writes the nodes. `vars` are evaluated;
    `overrides` are those that were given from outside. `input_origins` says where each input's shape is written.
    `weights` are named, never read: what builds the network loads them.
    """

    name: str
    inputs: Mapping[str, InputSpec]
    input_origins: Mapping[str, Origin]
    vars: Mapping[str, Any]
    nodes: Mapping[str, NodeSpec]
    blocks: Mapping[str, BlockSpec]
    outputs: Mapping[str, str] | None
    rules: tuple[tuple[Rule, Origin], ...]
    classes: tuple[str, ...] | None
    files: tuple[LoadedFile, ...]
    overrides: tuple[Setting, ...] = ()
    weights: tuple[WeightsSpec, Origin] | None = None

    def __repr__(self) -> str:
        names = " <- ".join(file.origin.document.source.name for file in self.files)
        return f"<Spec {self.name}: {len(self.nodes)} nodes, {len(self.rules)} rules, {names}>"

    @property
    def body(self) -> Origin:
        """Where the nodes and blocks are written."""
        return self.files[-1].origin

    @property
    def origin(self) -> Origin:
        """The file that was asked for."""
        return self.files[0].origin

    @property
    def published(self) -> Published | None:
        """What a paper measured with it, where the file that was asked for says so."""
        return self.files[0].content.published

    @property
    def own_outputs(self) -> Mapping[str, str]:
        """What the nodes give by themselves: as the file that writes them says, or the last of them."""
        written = self.files[-1].content.outputs
        return written if written is not None else {"output": list(self.nodes)[-1]}

    @property
    def outputs_origin(self) -> Origin:
        """Where the outputs are written."""
        return (
            next((file for file in self.files if file.content.outputs is not None), self.files[-1]).origin / "outputs"
        )

    def to_mapping(self) -> dict[str, Any]:
        """The same network as one spec without references, vars evaluated: loads to an equal network."""
        written = self.body.document.plain()
        raw = {"name": self.name, "vars": _escaped(self.vars), "blocks": written.get("blocks", {})}
        raw["nodes"] = {name: written["nodes"][name] for name in self.nodes}
        raw["inputs"] = {name: value.model_dump(exclude_unset=True) for name, value in self.inputs.items()}
        raw["attention"] = [origin.document.nearest(origin.path).plain() for _, origin in self.rules]
        if self.outputs is not None:
            raw["outputs"] = dict(self.outputs)
        if self.classes is not None:
            raw["classes"] = list(self.classes)
        if self.weights is not None:
            raw["weights"] = _absolute(self.weights[0].model_dump(exclude_defaults=True))
        return {key: value for key, value in raw.items() if value}

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file's text, by the file's name; of a mapping, that of its JSON."""
        documents = [file.origin.document for file in self.files]
        texts = {one.source.name: one.source.text or json.dumps(one.plain()) for one in documents}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def _escaped(value: Any) -> Any:
    """An evaluated value as a spec writes it: its dollars are no expressions."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, list):
        return [_escaped(child) for child in value]
    return {key: _escaped(child) for key, child in value.items()} if isinstance(value, Mapping) else value


def _absolute(weights: dict[str, Any]) -> dict[str, Any]:
    """The same weights from any folder."""
    paths = ["source"] if hub_of(weights["source"]) is None else []
    paths += ["keys"] if weights.get("keys", "").endswith((".yaml", ".yml")) else []
    return {**weights, **{key: os.path.abspath(weights[key]) for key in paths}}


def load(
    source: str | Path | Mapping[str, Any] | Spec,
    *,
    vars: Mapping[str, Any] | None = None,
    sets: Iterable[str] = (),
    root: str | Path | None = None,
) -> Spec:
    """Read and check a spec. Needs no torch.

    source  a path, a name of the zoo (`resnet50`, `papers/cbam/resnet50`), a mapping, or a Spec
    vars    values for the spec's vars
    sets    `dotted.path=value` settings, applied to the source before it is checked; values are YAML
    root    the folder that references may not leave; the source's own folder unless given
    Raises SpecError with every problem of the stage that failed.
    """
    settings = read_settings(vars or {}, sets)
    if isinstance(source, Spec):
        if not all(map(is_var, settings)):
            raise SpecError(Diagnostic("set", "a Spec that is already loaded takes `vars`, not other settings"))
        return _assemble(source.files, (*source.overrides, *settings))
    document, path = open_source(source)
    document = apply_settings(document, settings)
    file = LoadedFile(validate(document), Origin(document), path, home(path, root))
    return _assemble(follow(file), tuple(filter(is_var, settings)))


def with_outputs(spec: Spec, outputs: Mapping[str, str]) -> Spec:
    """The spec with other outputs: name -> path of a node. Raises SpecError."""
    document = Document.from_mapping({"backbone": spec.name, "outputs": dict(outputs)}, "<outputs>")
    file = LoadedFile(validate(document), Origin(document), None, spec.files[0].root)
    return _assemble((file, *spec.files), spec.overrides)


def _assemble(files: tuple[LoadedFile, ...], overrides: tuple[Setting, ...]) -> Spec:
    """One Spec from a chain of files and overridden vars. Raises SpecError."""
    base = files[-1]
    vars = settle_vars(files, overrides)
    inputs, origins = settle_inputs(files)
    nodes = dict(base.content.nodes or {})
    taken_from = next((file for file in files if file.content.outputs is not None), None)
    outputs = taken_from.content.outputs if taken_from else None
    spec = Spec(
        name=next((file.content.name for file in files if file.content.name), _stem(files[0])),
        inputs=inputs,
        input_origins=origins,
        vars=vars,
        nodes=nodes,
        blocks=base.content.blocks,
        outputs=outputs,
        rules=tuple(
            (rule, file.origin / "attention" / index)
            for file in reversed(files)
            for index, rule in enumerate(file.content.attention)
        ),
        classes=next((names for names in map(read_classes, files) if names is not None), None),
        files=files,
        overrides=overrides,
        weights=_weights(files),
    )
    SpecError.check(check_spec(spec))
    return spec


def _weights(files: tuple[LoadedFile, ...]) -> tuple[WeightsSpec, Origin] | None:
    """What the nearest file that speaks of weights says; None where that is `none`."""
    speaking = next((file for file in files if file.content.weights is not None), None)
    found = find_weights(speaking) if speaking else None
    return None if found is None or found[0].source == NO_WEIGHTS else found


def _stem(file: LoadedFile) -> str:
    return file.path.stem if file.path else "network"
