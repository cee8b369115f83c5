"""A source (path, zoo name, mapping) -> a Spec: files read, references followed, vars settled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from composer.errors import Diagnostic, SpecError, did_you_mean
from composer.options import describe_problem
from composer.spec import zoo
from composer.spec.check import check_file, check_spec
from composer.spec.model import NODE_KEYS, BlockSpec, InputSpec, NodeSpec, Rule, SpecFile
from composer.spec.origin import EvaluationError, Origin, evaluate
from composer.spec.yaml import MAX_BYTES, Document, Value, decode, parse_value, read

MAX_REFERENCES = 16


@dataclass(frozen=True)
class LoadedFile:
    """One file of a spec: what it says, where it stands, and what it may refer to."""

    content: SpecFile
    origin: Origin
    path: Path | None
    root: Path


@dataclass(frozen=True)
class Spec:
    """A validated network description with its references settled. Immutable; prints as its name and files.

    `files` runs from the file that was asked for to the one that writes the nodes. `vars` are evaluated.
    """

    name: str
    inputs: Mapping[str, InputSpec]
    vars: Mapping[str, Any]
    nodes: Mapping[str, NodeSpec]
    blocks: Mapping[str, BlockSpec]
    outputs: Mapping[str, str] | None
    rules: tuple[tuple[Rule, Origin], ...]
    classes: tuple[str, ...] | None
    files: tuple[LoadedFile, ...]
    overrides: tuple[tuple[str, Value], ...] = ()

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

    def to_mapping(self) -> dict[str, Any]:
        """The same network as one spec without references, vars evaluated: loads to an equal network."""
        written = self.body.document.plain()
        raw = {"name": self.name, "vars": dict(self.vars), "blocks": written.get("blocks", {})}
        raw["nodes"] = {name: written["nodes"][name] for name in self.nodes}
        raw["inputs"] = {name: value.model_dump(exclude_unset=True) for name, value in self.inputs.items()}
        raw["attention"] = [_at(origin.document.plain(), origin.path) for _, origin in self.rules]
        if self.outputs is not None:
            raw["outputs"] = dict(self.outputs)
        if self.classes is not None:
            raw["classes"] = list(self.classes)
        return {key: value for key, value in raw.items() if value}

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file's text, by the file's name."""
        sources = (file.origin.document.source for file in self.files)
        return {source.name: hashlib.sha256(source.text.encode()).hexdigest() for source in sources}


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


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
    overrides, settings = _settings(vars or {}, sets)
    if isinstance(source, Spec):
        if settings:
            raise SpecError(Diagnostic("set", "a Spec that is already loaded takes `vars`, not other settings"))
        files, overrides = source.files, {**dict(source.overrides), **overrides}
        return assemble(files, overrides)
    document, path = _open(source)
    for steps, value in settings:
        document = document.with_value(steps, value)
    home = Path(root).resolve() if root else path.resolve().parent if path else Path.cwd()
    if path is not None and root is None and zoo.folder().resolve() in path.resolve().parents:
        home = zoo.folder().resolve()
    return assemble(_follow(LoadedFile(validate(document), Origin(document), path, home)), overrides)


def _settings(
    vars: Mapping[str, Any], sets: Iterable[str]
) -> tuple[dict[str, Value], list[tuple[tuple[str, ...], Value]]]:
    overrides = dict(Document.from_mapping(vars, "<vars>").root.data) if vars else {}
    settings = []
    for text in sets:
        key, equals, value = text.partition("=")
        steps = tuple(key.strip().split("."))
        if not equals or not all(steps):
            raise SpecError(Diagnostic("set", f"cannot read the setting `{text}`", label="`vars.num_classes=10`"))
        parsed = parse_value(value, f"--set {key}")
        if steps[0] == "vars" and len(steps) == 2:
            overrides[steps[1]] = parsed
        else:
            settings.append((steps, parsed))
    return overrides, settings


def _open(source: str | Path | Mapping[str, Any]) -> tuple[Document, Path | None]:
    if isinstance(source, Mapping):
        return Document.from_mapping(source), None
    if not isinstance(source, str | Path):
        found = type(source).__name__
        raise SpecError(
            Diagnostic("source", f"a spec cannot be a {found}", label="a path, a name, a mapping or a Spec")
        )
    text = str(source)
    if "\n" in text or "\0" in text:
        raise SpecError(
            Diagnostic("source", "a spec is given by path or name, not as text", help=("write it to a file",))
        )
    path = zoo.find(text) if isinstance(source, str) else None
    if path is None:
        path = Path(text)
        if not path.exists():
            path = zoo.find_path(path) or path
        if path.suffix not in (".yaml", ".yml") and not path.exists():
            known = [*zoo.backbones(), *zoo.papers()]
            hint = did_you_mean(text, known, "`composer list backbones` shows all; a file's path ends in .yaml")
            raise SpecError(Diagnostic("unknown-spec", f"no spec is called `{text}`", help=hint))
    return read_file(path), path


def read_file(path: Path) -> Document:
    """The document of one file. Raises SpecError when it is missing, not a regular file, too large or not YAML."""
    try:
        # A pipe or a device would block or never end.
        if path.exists() and not path.is_file():
            raise SpecError(Diagnostic("unreadable", f"`{path}` is not a regular file", label="a YAML file"))
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(Diagnostic("unreadable", f"cannot read `{path}`: {reason}")) from error
    return read(decode(data, str(path)))


def validate(document: Document) -> SpecFile:
    """The model of one document, structure checked. Raises SpecError."""
    origin = Origin(document)
    plain = document.plain()
    if not isinstance(plain, dict):
        found = type(plain).__name__
        raise SpecError(origin.problem("structure", f"a spec is a mapping, not a {found}", "`name:`, `backbone:` …"))
    try:
        content = SpecFile.model_validate(plain)
    except ValidationError as error:
        raise SpecError(_translate(record, origin) for record in error.errors()) from error
    problems = check_file(content, origin)
    if problems:
        raise SpecError(problems)
    return content


_KEYS: dict[str, Iterable[str]] = {
    "nodes": NODE_KEYS,
    "attention": [field.alias or name for name, field in Rule.model_fields.items()],
    "blocks": BlockSpec.model_fields,
    "input": InputSpec.model_fields,
    "inputs": InputSpec.model_fields,
}


def _translate(record: Any, origin: Origin) -> Diagnostic:
    path = tuple(record["loc"])
    here = replace(origin, path=path)
    if record["type"] == "extra_forbidden":
        known = SpecFile.model_fields if len(path) == 1 else _KEYS.get(str(path[0]), ())
        return here.problem(
            "unknown-key",
            f"unknown key `{path[-1]}`",
            "not a key of this place",
            did_you_mean(path[-1], known),
            key=True,
        )
    if record["type"] == "missing":
        return replace(origin, path=path[:-1]).problem("missing-key", f"`{path[-1]}` is missing", f"`{path[-1]}:`")
    return here.problem("wrong-type", f"`{path[0] if len(path) == 1 else path[-1]}`: {describe_problem(record)}")


def _follow(file: LoadedFile) -> tuple[LoadedFile, ...]:
    """The chain of files from this one to the one with nodes."""
    chain = [file]
    while (reference := chain[-1].content.backbone) is not None:
        origin = chain[-1].origin / "backbone"
        path, root = _resolve(reference, chain[-1], origin)
        if path.resolve() in [one.path.resolve() for one in chain if one.path]:
            names = " -> ".join([*(str(one.path) for one in chain if one.path), str(path)])
            raise SpecError(origin.problem("cycle", "the backbone refers back to itself", help=(names,)))
        if len(chain) >= MAX_REFERENCES:
            raise SpecError(origin.problem("depth", f"more than {MAX_REFERENCES} specs refer to one another"))
        document = read_file(path)
        chain.append(LoadedFile(validate(document), Origin(document), path, root))
    return tuple(chain)


def _resolve(reference: str, file: LoadedFile, origin: Origin) -> tuple[Path, Path]:
    if not reference.endswith((".yaml", ".yml")):
        path = zoo.find(reference)
        if path is None:
            hint = did_you_mean(reference, zoo.backbones(), "`composer list backbones` shows all")
            raise SpecError(
                origin.problem("unknown-backbone", f"unknown backbone `{reference}`", "not in the zoo", hint)
            )
        return path, zoo.folder()
    folder = file.path.parent if file.path else file.root
    path = (folder / reference).resolve()
    if not path.is_relative_to(file.root):
        help = ("copy the file below that folder, or name a wider one with --root",)
        label = f"a file below {file.root}"
        raise SpecError(origin.problem("outside-root", f"`{reference}` leaves the spec's own tree", label, help))
    if not path.is_file():
        raise SpecError(origin.problem("unknown-backbone", f"there is no file `{reference}`", f"a file below {folder}"))
    return path, file.root


def assemble(files: tuple[LoadedFile, ...], overrides: Mapping[str, Value]) -> Spec:
    """One Spec from a chain of files and overriding vars. Raises SpecError."""
    base = files[-1]
    vars = _settle_vars(files, overrides)
    inputs = _settle_inputs(files)
    outputs_file = next((file for file in files if file.content.outputs is not None), None)
    outputs = outputs_file.content.outputs if outputs_file else None
    nodes = dict(base.content.nodes or {})
    if outputs_file is not None and outputs_file is not base and outputs is not None:
        nodes = _needed(nodes, outputs, outputs_file.origin / "outputs")
    spec = Spec(
        name=next((file.content.name for file in files if file.content.name), _stem(files[0])),
        inputs=inputs,
        vars=vars,
        nodes=nodes,
        blocks=base.content.blocks,
        outputs=outputs,
        rules=tuple(
            (rule, file.origin / "attention" / index)
            for file in reversed(files)
            for index, rule in enumerate(file.content.attention)
        ),
        classes=_classes(files),
        files=files,
        overrides=tuple(overrides.items()),
    )
    problems = check_spec(spec)
    if problems:
        raise SpecError(problems)
    return spec


def _stem(file: LoadedFile) -> str:
    return file.path.stem if file.path else "network"


def _settle_vars(files: tuple[LoadedFile, ...], overrides: Mapping[str, Value]) -> dict[str, Any]:
    base = files[-1]
    settled = {name: (value, base.origin / "vars" / name) for name, value in base.content.vars.items()}
    problems = []
    layers = [(file.content.vars, file.origin) for file in reversed(files[:-1])]
    layers += [({name: value.plain()}, _override_origin(name, value)) for name, value in overrides.items()]
    for values, origin in layers:
        for name, value in values.items():
            here = origin / "vars" / name
            if name not in settled:
                hint = did_you_mean(name, settled, f"the vars are {', '.join(settled) or 'none'}")
                problems.append(here.problem("unknown-var", f"unknown var `{name}`", "not a var", hint, key=True))
            settled[name] = (value, here)
    if problems:
        raise SpecError(problems)
    result: dict[str, Any] = {}
    for name, (value, origin) in settled.items():
        try:
            result[name] = evaluate(value, result, origin)
        except EvaluationError as error:
            problems.append(error.diagnostic)
            result[name] = None
    if problems:
        raise SpecError(problems)
    return result


def _override_origin(name: str, value: Value) -> Origin:
    nested = Value({"vars": Value({name: value}, value.location)}, value.location)
    return Origin(Document(value.location.source if value.location else _NOWHERE, nested))


_NOWHERE = Document.from_mapping({}, "<vars>").source


def _settle_inputs(files: tuple[LoadedFile, ...]) -> dict[str, InputSpec]:
    inputs: dict[str, InputSpec] = {}
    for file in reversed(files):
        if file.content.inputs is not None:
            inputs = dict(file.content.inputs)
        if file.content.input is not None:
            inputs["input"] = file.content.input.over(inputs["input"]) if "input" in inputs else file.content.input
    if not inputs:
        raise SpecError(files[-1].origin.problem("missing-key", "the network has no `input`", "`input: [3, 224, 224]`"))
    return inputs


def _needed(nodes: Mapping[str, NodeSpec], outputs: Mapping[str, str], origin: Origin) -> dict[str, NodeSpec]:
    """The nodes that the outputs need: a spec that takes features from a backbone leaves the rest out."""
    order = list(nodes)
    needed: set[str] = set()
    waiting = [reference.partition(".")[0] for reference in outputs.values()]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in nodes:
            continue
        needed.add(name)
        previous = order[order.index(name) - 1] if order.index(name) else "input"
        sources = nodes[name].sources
        waiting += [source.partition(".")[0] for source in ([previous] if sources is None else sources)]
    # What was "the previous node" must stay so once nodes between are gone; a parameter has no input to name.
    return {name: node for name, node in nodes.items() if name in needed}


def _classes(files: tuple[LoadedFile, ...]) -> tuple[str, ...] | None:
    for file in files:
        value = file.content.classes
        if value is None:
            continue
        if isinstance(value, list):
            return tuple(value)
        path = zoo.classes(value)
        origin = file.origin / "classes"
        if path is None and file.path is not None and value.endswith(".txt"):
            path = (file.path.parent / value).resolve()
            if not path.is_relative_to(file.root) or not path.is_file():
                path = None
        if path is None:
            label = "a list, `imagenet1k`, or a .txt file in the spec's tree with a name a line"
            raise SpecError(origin.problem("classes", f"there are no class names `{value}`", label))
        return tuple(path.read_text(encoding="utf-8").splitlines())
    return None
