"""A spec as a value: what a network is composed from, validated, with its references settled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from composer.amounts import plural
from composer.errors import Diagnostic
from composer.spec.expression import escape
from composer.spec.freeze import FreezeSpec
from composer.spec.hub import hub_of
from composer.spec.kind import Kind, is_declaration
from composer.spec.model import (
    LEVELS,
    OUTPUT,
    BlockSpec,
    InputSpec,
    NodeSpec,
    PartSpec,
    Published,
    Rule,
    SourceSpec,
    WeightsSpec,
)
from composer.spec.model_source import ModelSource
from composer.spec.origin import Origin
from composer.spec.outputs import Outputs, settle_outputs
from composer.spec.part import key_of_node
from composer.spec.references import LoadedFile
from composer.spec.settings import Setting
from composer.visible import one_line


@dataclass(frozen=True)
class Part:
    """A network inside another.

    written     what the spec says about it, at `origin`
    files       the part as the first of its chain of files, without vars; the file that writes the nodes is the last
    values      the vars that are known before the network around it is elaborated
    spec        the network with those vars
    kept_rules  how many of its rules apply; None for all
    """

    written: PartSpec
    origin: Origin
    files: tuple[LoadedFile, ...]
    values: Mapping[str, Any]
    spec: Spec
    kept_rules: int | None = None

    @property
    def rules(self) -> tuple[tuple[Rule, Origin], ...]:
        """Its rules that apply, those of networks inside it first."""
        return self.spec.every_rule[: self.kept_rules]

    def with_rules(self, count: int) -> Part:
        """The part with only its first rules."""
        return replace(self, kept_rules=count)

    def as_mapping(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """What a spec writes for it, or for a node that is one, with the whole network in place of references."""
        ours = ("outputs", "maps", "attention", "weights")
        left = {key: value for key, value in written.items() if key not in ours}
        network = self.spec.to_mapping()
        network.pop("weights", None)
        # Nodes that no output needs are left out, as in a lock.
        return {**left, "backbone": {**network, "lock": {}}}


@dataclass(frozen=True)
class Spec:
    """A validated network description with its references settled. Immutable; prints as its name and files.

    `files` runs from the requested file to the backbone at the beginning. `nodes` and `blocks` are those of all files,
    the backbone's first. `vars` are evaluated, `kinds` says which values each may have, `var_origins` where each is
    set, and `overrides` which were given from outside. `input_origins` says where the shape of each input is written,
    `node_origins` and `block_origins` where each node and block is. `weights` are named but not read: building the
    network loads them. `problems` are those of the text; a Spec that `load_spec` returns has none. `misses` says that
    some vars were set wrongly and have their defaults. `parts` are the networks inside this one, by block; a node with
    `backbone` has a block `block/node`, or `/node` in the network itself. `part_weights` are weights by path of a node
    that is a part. A network that begins with a model of another library has it as `source`; the last file then stands
    for that model, and `nodes` are only those behind it. `allow_code` says that the model may be code of this machine.
    """

    name: str
    inputs: Mapping[str, InputSpec]
    input_origins: Mapping[str, Origin]
    vars: Mapping[str, Any]
    kinds: Mapping[str, Kind]
    var_origins: Mapping[str, Origin]
    nodes: Mapping[str, NodeSpec]
    node_origins: Mapping[str, Origin]
    blocks: Mapping[str, BlockSpec]
    block_origins: Mapping[str, Origin]
    outputs: Mapping[str, str] | None
    rules: tuple[tuple[Rule, Origin], ...]
    classes: tuple[str, ...] | None
    files: tuple[LoadedFile, ...]
    overrides: tuple[Setting, ...] = ()
    weights: tuple[WeightsSpec, Origin] | None = None
    problems: tuple[Diagnostic, ...] = ()
    misses: bool = False
    parts: Mapping[str, Part] = field(default_factory=dict)
    part_weights: Mapping[str, tuple[WeightsSpec, Origin]] = field(default_factory=dict)
    source: ModelSource | None = None
    allow_code: bool = False

    def __repr__(self) -> str:
        names = " <- ".join(file.origin.document.source.name for file in self.files)
        return f"<Spec {self.name}: {plural(len(self.nodes), 'node')}, {plural(len(self.rules), 'rule')}, {names}>"

    def is_sound(self, origin: Origin) -> bool:
        """Whether the text at a place has no problems."""
        if not self.problems:
            return True
        source, own = origin.document.source, origin.dotted
        return not any(
            (one.path == own or one.path.startswith(f"{own}."))
            and (one.location is None or one.location.source is source)
            for one in self.problems
        )

    @property
    def names_of_blocks(self) -> list[str]:
        """The names that a node's `block` may have."""
        return [*self.blocks, *(name for name in self.parts if "/" not in name)]

    @property
    def every_rule(self) -> tuple[tuple[Rule, Origin], ...]:
        """The rules in the order in which they apply: those of the networks inside, then its own."""
        return (*(rule for part in self.parts.values() for rule in part.rules), *self.rules)

    @property
    def rules_inside(self) -> int:
        """How many rules the networks inside it have: its own are counted from there."""
        return len(self.every_rule) - len(self.rules)

    def with_rules(self, count: int) -> Spec:
        """The network with only its first rules, those of the networks inside counted too."""
        parts = {}
        for name, part in self.parts.items():
            parts[name] = part.with_rules(min(count, len(part.rules)))
            count -= len(parts[name].rules)
        return replace(self, parts=parts, rules=self.rules[:count])

    def first_rule_of(self, name: str) -> int:
        """The number of the first rule of a part."""
        before = list(self.parts)[: list(self.parts).index(name)]
        return sum(len(self.parts[one].rules) for one in before)

    @property
    def writer(self) -> LoadedFile:
        """The nearest file that writes nodes: the outputs are its own unless a nearer file names others."""
        return writer(self.files)

    @property
    def leaves_out(self) -> bool:
        """Whether nodes that no output needs are left out: those of a backbone under other nodes, of a network inside
        another, and of a lock."""
        return (
            bool(self.parts)
            or self.is_part
            or self.writer is not self.files[-1]
            or self.writer.content.lock is not None
        )

    @property
    def is_part(self) -> bool:
        """Whether this is a network inside another: it is written within a file, not as a file."""
        return bool(self.origin.path)

    @property
    def every_file(self) -> tuple[LoadedFile, ...]:
        """Its files, and those of the networks inside it."""
        return (*self.files, *(file for part in self.parts.values() for file in part.spec.every_file[1:]))

    @property
    def origin(self) -> Origin:
        """The requested file."""
        return self.files[0].origin

    @property
    def description(self) -> str:
        """What the requested file says of its network, in one line; empty if it says nothing."""
        return one_line(self.files[0].content.description)

    @property
    def published(self) -> Published | None:
        """The results that a paper measured with this network, if the requested file has them."""
        return self.files[0].content.published

    @property
    def kernels(self) -> Literal["fused", "reference"]:
        """Whether mechanisms run their kernels or their plain formulas, as the nearest file says."""
        return self.said_kernels or "fused"

    @property
    def said_kernels(self) -> Literal["fused", "reference"] | None:
        """As `kernels`; None if no file says it, so that each network inside has its own."""
        return next((file.content.kernels for file in self.files if file.content.kernels), None)

    @property
    def freezes(self) -> bool:
        """Whether a file of the network, or of one inside it, freezes anything."""
        return any(file.content.freeze is not None for file in self.every_file)

    @property
    def freeze(self) -> tuple[FreezeSpec, Origin] | None:
        """What the nearest file that says it freezes, and where; None if no file does."""
        for file in self.files:
            if file.content.freeze is not None:
                return file.content.freeze, file.origin / "freeze"
        return None

    @property
    def sites(self) -> Mapping[str, tuple[tuple[str, ...], Origin]]:
        """Site -> the globs that the nearest file gives it, and where; of a model of another library."""
        found: dict[str, tuple[tuple[str, ...], Origin]] = {}
        for file in self.files:
            for name, globs in file.content.sites.items():
                found.setdefault(name, ((globs,) if isinstance(globs, str) else tuple(globs), file.origin / "sites"))
        return found

    @property
    def own_outputs(self) -> Mapping[str, str]:
        """The outputs of the nearest file that writes nodes; if it names none, its last node."""
        written = settle_outputs(self.writer.content, self.vars, self.writer.origin)
        if written is not None:
            return written.paths
        # What a model of another library gives is known when it is recorded.
        return {OUTPUT: list(self.nodes)[-1]} if self.nodes else {}

    @property
    def names_outputs(self) -> bool:
        """Whether the network returns a dict of its outputs; otherwise it returns a tensor."""
        return self.gives_levels or (self._outputs is not None and self._outputs.named)

    @property
    def training_outputs(self) -> frozenset[str]:
        """Names of the outputs that the network has only in training."""
        return frozenset() if self._outputs is None else self._outputs.training & (self.outputs or {}).keys()

    @property
    def _outputs(self) -> Outputs | None:
        file = self._outputs_file
        return None if file is None else settle_outputs(file.content, self.vars, file.origin)

    @property
    def gives_levels(self) -> bool:
        """Whether the outputs are the features at every scale."""
        written = self._outputs_file and self._outputs_file.content.outputs
        return written == LEVELS and LEVELS not in self.nodes

    @property
    def gives_maps(self) -> bool:
        """Whether the outputs are feature maps b c h w."""
        if self.gives_levels:
            return True
        files = [file.content for file in down_to_writer(self.files)]
        return next((one.maps for one in files if one.outputs is not None or "maps" in one.model_fields_set), False)

    @property
    def _outputs_file(self) -> LoadedFile | None:
        """The nearest file that states the outputs."""
        return next((file for file in down_to_writer(self.files) if file.content.outputs is not None), None)

    @property
    def outputs_origin(self) -> Origin:
        """Where the outputs are written."""
        return (self._outputs_file or self.writer).origin / "outputs"

    def to_mapping(self) -> dict[str, Any]:
        """The same network as a single spec without references, its vars evaluated. It loads to an equal network."""
        raw: dict[str, Any] = {"name": self.name, "description": self.description, "vars": self._declared_vars()}
        if isinstance(backbone := self.files[-1].content.backbone, SourceSpec):
            raw["backbone"] = backbone.to_mapping()
        raw["blocks"] = {name: self._written(origin, name) for name, origin in self.block_origins.items()}
        raw["blocks"] |= {
            name: part.as_mapping(_plain(part.origin)) for name, part in self.parts.items() if "/" not in name
        }
        raw["nodes"] = {name: self._written(origin) for name, origin in self.node_origins.items()}
        raw["inputs"] = {name: value.model_dump(exclude_unset=True) for name, value in self.inputs.items()}
        raw["attention"] = [origin.document.nearest(origin.path).plain() for _, origin in self.rules]
        if self.outputs == {OUTPUT: LEVELS}:
            raw["outputs"] = LEVELS
        elif self.outputs is not None:
            only = {name: {"from": self.outputs[name], "only": "training"} for name in self.training_outputs}
            single = len(self.outputs) == 1 and not self.names_outputs
            raw["outputs"] = self.outputs[OUTPUT] if single else {**self.outputs, **only}
        raw["maps"] = self.gives_maps
        raw["sites"] = {name: list(globs) for name, (globs, _) in self.sites.items()}
        if self.kernels != "fused":
            raw["kernels"] = self.kernels
        if self.freeze is not None:
            raw["freeze"] = self.freeze[0].model_dump(exclude_none=True)
        if self.classes is not None:
            raw["classes"] = list(self.classes)
        if self.weights is not None:
            raw["weights"] = _absolute(self.weights[0].model_dump(exclude_defaults=True))
        elif self.part_weights:
            named = {path: one.model_dump(exclude_defaults=True) for path, (one, _) in self.part_weights.items()}
            raw["weights"] = {path: _absolute(one) for path, one in named.items()}
        return {key: value for key, value in raw.items() if value}

    def _written(self, origin: Origin, block: str | None = None) -> Any:
        """A block or node of the network as its file writes it, with networks inside it as a whole."""
        written = _plain(origin)
        if block is None:
            part = self.parts.get(key_of_node("", str(origin.path[-1])))
            return written if part is None else part.as_mapping(written)
        inside = {name: self.parts.get(key_of_node(block, name)) for name in written["nodes"]}
        nodes = {
            name: node if (part := inside[name]) is None else part.as_mapping(node)
            for name, node in written["nodes"].items()
        }
        return {**written, "nodes": nodes}

    def _declared_vars(self) -> dict[str, Any]:
        """The evaluated vars as a spec writes them, with their declarations."""
        values = escaped(self.vars)
        # What a model of another library declares, its library declares again.
        files = self.files if self.source is None else self.files[:-1]
        declared = {name: value for file in files for name, value in file.content.vars.items() if is_declaration(value)}
        return {
            name: {**declared.get(name, {}), "default": value} if name in declared or is_declaration(value) else value
            for name, value in values.items()
        }

    def digests(self) -> dict[str, str]:
        """File name -> SHA-256 of its text; for a mapping, of its JSON."""
        documents = [file.origin.document for file in self.every_file]
        texts = {one.source.name: one.source.text or json.dumps(one.plain()) for one in documents}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def writer(files: Sequence[LoadedFile]) -> LoadedFile:
    """The nearest file that writes nodes; without one, the last, which stands for a model of another library."""
    return next((file for file in files if file.content.nodes is not None), files[-1])


def down_to_writer(files: Sequence[LoadedFile]) -> Sequence[LoadedFile]:
    """The files from the requested one to the nearest that writes nodes."""
    return files[: files.index(writer(files)) + 1]


def _plain(origin: Origin) -> Any:
    return origin.document.nearest(origin.path).plain()


def escaped(value: Any) -> Any:
    """An evaluated value as a spec writes it, with its dollars escaped."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, list):
        return [escaped(child) for child in value]
    return {key: escaped(child) for key, child in value.items()} if isinstance(value, Mapping) else value


def _absolute(weights: dict[str, Any]) -> dict[str, Any]:
    """The same weights with absolute paths."""
    paths = ["source"] if hub_of(weights["source"]) is None else []
    paths += ["keys"] if weights.get("keys", "").endswith((".yaml", ".yml")) else []
    return {**weights, **{key: os.path.abspath(weights[key]) for key in paths}}
