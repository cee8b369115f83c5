"""Combines several files and settings: evaluates the vars, and finds the inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from composer.errors import MAX_FOUND, Diagnostic, Mistakes, SpecError, did_you_mean, one_of
from composer.spec import zoo
from composer.spec.blame import shown_where_set
from composer.spec.check import PLACE
from composer.spec.document import MAX_VALUES, Document, Value
from composer.spec.evaluate import size
from composer.spec.expression import is_dynamic, parse_template
from composer.spec.kind import Kind, default_origin, is_declaration, kind_of, misfits, unmet
from composer.spec.model import Block, BlockSpec, InputSpec, NodeSpec, PartSpec
from composer.spec.origin import Origin, evaluate, walk_strings
from composer.spec.part import key_of_node
from composer.spec.reads import names_read
from composer.spec.references import LoadedFile
from composer.spec.settings import Setting, is_var
from composer.spec.tokens import ExpressionError


@dataclass(frozen=True)
class Vars:
    """The vars of a network. `origins` says where each value is set, `kinds` which values each may have.

    Vars that are set wrongly have their defaults here, so that mistakes elsewhere can still be found.
    """

    values: Mapping[str, Any]
    kinds: Mapping[str, Kind]
    origins: Mapping[str, Origin]
    problems: tuple[Diagnostic, ...] = ()


def settle_vars(files: Sequence[LoadedFile], settings: Iterable[Setting]) -> Vars:
    """The vars that the files declare, overridden by nearer files and the settings.

    A file with nodes, or that stands for a model of another library, may declare any var; another file only vars that
    its own expressions read, since any other is most likely one of the backbone's, misspelt. Raises SpecError if a
    default cannot be evaluated either.
    """
    declared: dict[str, Any] = {}
    own: dict[str, Origin] = {}
    for file in reversed(files):
        new = {name: value for name, value in file.content.vars.items() if name not in declared}
        if new and file.content.nodes is None and file is not files[-1]:
            read = names_read(file.origin).difference(PLACE)
            new = {name: value for name, value in new.items() if name in read}
        for name, value in new.items():
            declared[name] = value
            own[name] = default_origin(value, file.origin / "vars" / name)
    written = dict(own)
    problems = list(islice(_override(written, files, settings), MAX_FOUND))
    settled = _Settling([file.origin for file in files], declared, own, written)
    problems += islice(settled.problems(), MAX_FOUND)
    if problems and not settled.with_defaults():
        raise SpecError(problems)
    return Vars(settled.values, settled.kinds, written, tuple(problems))


def _override(
    written: dict[str, Origin], files: Sequence[LoadedFile], settings: Iterable[Setting]
) -> Iterator[Diagnostic]:
    """Note for each var where its final value is written. Yields a problem per var that the network lacks."""
    for file in reversed(files[:-1]):
        for name, value in file.content.vars.items():
            origin = file.origin / "vars" / name
            if written.get(name) == default_origin(value, origin):
                # The file declares the var itself.
                continue
            if name in written and file.content.nodes is None and is_declaration(value):
                help = ("write the value alone; the spec that declares the var says what it may be",)
                text = f"`{name}` is declared where it is set"
                yield origin.problem("var-kind", text, "a value", help, key=True)
            else:
                yield from _replace_var(written, name, origin)
    for setting in filter(is_var, settings):
        _, name, *rest = setting.steps
        value = setting.value
        if rest and name in written:
            origin = written[name]
            value = origin.document.nearest(origin.path).with_value(tuple(rest), value, ("vars", name))
        yield from _replace_var(written, name, _alone(name, value, setting))


def _replace_var(written: dict[str, Origin], name: str, origin: Origin) -> Iterator[Diagnostic]:
    if name not in written:
        hint = did_you_mean(name, written, f"the vars are {one_of(written)}")
        yield origin.problem("unknown-var", f"unknown var `{name}`", "not a var of this network", hint, key=True)
    else:
        written[name] = origin


def _alone(name: str, value: Value, setting: Setting) -> Origin:
    """The place of a var in a document that contains nothing else."""
    key = setting.value.key_location
    value = Value(value.data, value.location, key)
    location = value.location or key
    source = location.source if location else _PYTHON
    return Origin(Document(source, Value({"vars": Value({name: value})}))) / "vars" / name


_PYTHON = Document.from_mapping({}, "<vars>").source


@dataclass
class _Settling:
    """The vars in their order; each may read those before it.

    `declared` has what the files with nodes write for each, `own` where its default is, `written` its final value.
    """

    files: Sequence[Origin]
    declared: Mapping[str, Any]
    own: Mapping[str, Origin]
    written: Mapping[str, Origin]
    values: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def problems(self) -> Iterator[Diagnostic]:
        """The problems of the vars. Fills in the values and kinds of all others."""
        budget = MAX_VALUES
        for name in self.written:
            try:
                yield from self.settle(name)
            except Mistakes as error:
                self.failed.add(name)
                yield from (shown_where_set(one, self.files, self.written) for one in error.diagnostics)
            budget -= size(self.values.get(name), budget)
            if budget < 0:
                text = f"the vars hold more than {MAX_VALUES:,} values"
                yield self.written[name].problem("budget", text, "a shorter list")
                return

    def with_defaults(self) -> bool:
        """Give the vars that failed their defaults; whether all have one, and not too large ones."""
        budget = MAX_VALUES
        for name, own in self.own.items():
            if name in self.failed:
                try:
                    self.values[name] = evaluate(_plain(own), self.values, own)
                except Mistakes:
                    return False
                self.kinds.setdefault(name, kind_of(self.declared[name], self.values[name]))
            budget -= size(self.values.get(name), budget)
            if name not in self.values or budget < 0:
                return False
        return True

    def settle(self, name: str) -> Iterator[Diagnostic]:
        """Fill in a var and yield its problems. Raises Mistakes."""
        origin, own = self.written[name], self.own[name]
        given, default = _plain(origin), _plain(own)
        # A var that reads a failed var is not reported again.
        if not self.failed.isdisjoint(_names(given, origin)):
            self.failed.add(name)
            return
        value = evaluate(given, self.values, origin)
        if origin is not own and not self.failed.isdisjoint(_names(default, own)):
            default = None
        elif origin is not own:
            default = evaluate(default, self.values, own)
        else:
            default = value
        self.kinds[name] = kind = kind_of(self.declared[name], default)
        wrong = list(misfits(name, value, kind, origin))
        if not wrong and (useless := unmet(name, value, default, self.declared[name], self.values, origin)):
            wrong = [useless]
        if wrong:
            self.failed.add(name)
            yield from wrong
        else:
            self.values[name] = value


def _plain(origin: Origin) -> Any:
    return origin.document.nearest(origin.path).plain()


def _names(value: Any, origin: Origin) -> set[str]:
    try:
        texts = [text for text, _ in walk_strings(value, origin) if is_dynamic(text)]
        return {name.partition(".")[0] for text in texts for name, _ in parse_template(text).reads}
    except ExpressionError:
        return set()


Origins = dict[str, Origin]


@dataclass(frozen=True)
class Written:
    """The nodes, blocks and parts of all files, the backbone's first, and where each is written.

    A node with `backbone` is a node with a block of its own, which is the part.
    """

    nodes: dict[str, NodeSpec] = field(default_factory=dict)
    node_origins: Origins = field(default_factory=dict)
    blocks: dict[str, BlockSpec] = field(default_factory=dict)
    block_origins: Origins = field(default_factory=dict)
    parts: dict[str, tuple[PartSpec, Origin, LoadedFile]] = field(default_factory=dict)


def settle_nodes(files: Sequence[LoadedFile]) -> Written:
    """What all files write. Raises SpecError."""
    nodes: dict[str, NodeSpec] = {}
    blocks: dict[str, Block] = {}
    node_origins, block_origins = Origins(), Origins()
    problems: list[Diagnostic] = []
    for file in reversed(files):
        for what, own, found, origins in (
            ("node", file.content.nodes or {}, nodes, node_origins),
            ("block", file.content.blocks, blocks, block_origins),
        ):
            for name, one in own.items():
                origin = file.origin / f"{what}s" / name
                if name in origins:
                    there = origins[name].location(key=True)
                    place = f"{zoo.portable(there.source.name)}:{there.line}" if there else f"`{origins[name].dotted}`"
                    help = (f"the backbone's is at {place}",)
                    text = f"the backbone has a {what} `{name}` too"
                    problems.append(origin.problem("name", text, "another name", help, key=True))
                else:
                    found[name] = one  # type: ignore[assignment]
                    origins[name] = origin
    SpecError.check(problems)
    return _with_parts(nodes, node_origins, blocks, block_origins, files)


def _with_parts(
    nodes: Mapping[str, NodeSpec],
    node_origins: Origins,
    blocks: Mapping[str, Block],
    block_origins: Origins,
    files: Sequence[LoadedFile],
) -> Written:
    by_document = {id(file.origin.document): file for file in files}
    found = Written(node_origins=node_origins)

    def add(name: str, part: PartSpec, origin: Origin) -> None:
        found.parts[name] = (part, origin, by_document[id(origin.document)])

    def settled(nodes: Mapping[str, NodeSpec], block: str, origins: Mapping[str, Origin]) -> dict[str, NodeSpec]:
        own = dict(nodes)
        for name, node in nodes.items():
            if node.part is not None:
                key = key_of_node(block, name)
                own[name] = node.model_copy(update={"part": None, "block": key, "args": node.part.vars})
                add(key, node.part, origins[name])
        return own

    for name, block in blocks.items():
        origin = block_origins[name]
        if isinstance(block, PartSpec):
            add(name, block, origin)
        else:
            inner = settled(block.nodes, name, {one: origin / "nodes" / one for one in block.nodes})
            found.blocks[name] = block.model_copy(update={"nodes": inner})
            found.block_origins[name] = origin
    found.nodes.update(settled(nodes, "", node_origins))
    return found


def settle_inputs(files: Sequence[LoadedFile]) -> tuple[dict[str, InputSpec], dict[str, Origin]]:
    """The inputs, and where the shape of each is written. Raises SpecError."""
    inputs: dict[str, InputSpec] = {}
    origins: dict[str, Origin] = {}
    for file in reversed(files):
        content = file.content
        if content.inputs is not None:
            inputs = dict(content.inputs)
            origins = {name: file.origin / "inputs" / name / "shape" for name in inputs}
        if content.input is not None:
            inputs["input"] = content.input.over(inputs["input"]) if "input" in inputs else content.input
            origins["input"] = file.origin / "input" / "shape"
    if not inputs:
        label = "`input: [3, 224, 224]`"
        raise SpecError(files[-1].origin.problem("missing-key", "the network has no `input`", label))
    return inputs, {name: origin.written for name, origin in origins.items()}
