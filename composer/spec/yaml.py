"""YAML text -> plain values that know their line and column. Reads PyYAML's events; never constructs anything.

PyYAML's own loaders crash on deep nesting, accept duplicate keys and read `on` as True and `010` as 8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import yaml

from composer.errors import Diagnostic, Location, Source, SpecError

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_VALUES = 200_000
MAX_DIGITS = 64

Path = tuple[str | int, ...]

_PARSER: Any = getattr(yaml, "CLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    word: value
    for words, value in [
        (("", "~", "null", "Null", "NULL"), None),
        (("true", "True", "TRUE"), True),
        (("false", "False", "FALSE"), False),
        ((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
        (("-.inf", "-.Inf", "-.INF"), float("-inf")),
        ((".nan", ".NaN", ".NAN"), float("nan")),
    ]
    for word in words
}
_FORBIDDEN = re.compile("[^\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Value:
    """A value with its place; the children of a mapping or a sequence are Values too."""

    data: Any
    location: Location | None = None
    key_location: Location | None = field(default=None, compare=False)

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.data, dict):
            return {key: value.plain() for key, value in self.data.items()}
        if isinstance(self.data, list):
            return [value.plain() for value in self.data]
        return self.data


@dataclass(frozen=True)
class Document:
    """A whole text and the value it spells."""

    source: Source
    root: Value

    @cached_property
    def _plain(self) -> Any:
        return self.root.plain()

    def plain(self) -> Any:
        """The value without places. Not a copy: leave it as it is."""
        return self._plain

    def location(self, path: Path, key: bool = False) -> Location | None:
        """Where the value at the path stands, or the deepest of its parents that is known; `key` for its key."""
        value = self.root
        for step in path:
            child = _child(value, step)
            if child is None:
                return value.location
            value = child
        return value.key_location or value.location if key else value.location

    def with_value(self, path: tuple[str, ...], value: Value) -> Document:
        """The document with one value set; mappings on the way are made. Raises SpecError where that cannot be."""
        return replace(self, root=_set(self.root, path, value, ".".join(path)))

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], name: str = "<mapping>") -> Document:
        """A document from Python values. Raises SpecError for what YAML could not spell."""
        return cls(Source(name), _from_python(data, (), [0]))


def decode(data: bytes, name: str) -> Source:
    """The text of a file. Raises SpecError for one that is too large or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise SpecError(Diagnostic("yaml-size", f"`{name}` is larger than {MAX_BYTES:,} bytes"))
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SpecError(
            Diagnostic("yaml-encoding", f"`{name}` is not UTF-8 (byte {error.start}, line {line})", label="UTF-8 text")
        ) from error


def read(source: Source) -> Document:
    """The document a text spells. Raises SpecError, with the position, for anything the language leaves out."""
    return Document(source, _Reader(source).read())


def parse_value(text: str, source_name: str) -> Value:
    """One value, as after `--set key=`."""
    source = Source(source_name, text)
    if not text.strip():
        return Value(None, Location(source, 1, 1, 2))
    return _Reader(source).read()


def _child(value: Value, step: str | int) -> Value | None:
    if isinstance(value.data, dict):
        found: Value | None = value.data.get(step)
        return found
    if isinstance(value.data, list) and isinstance(step, int) and step < len(value.data):
        item: Value = value.data[step]
        return item
    return None


def _set(value: Value, path: tuple[str, ...], new: Value, whole: str) -> Value:
    if not path:
        return new
    step, *rest = path
    if isinstance(value.data, list):
        if not step.isdecimal() or int(step) >= len(value.data):
            text = f"cannot set `{whole}`: `{step}` is not an index of a list of {len(value.data)}"
            raise SpecError(Diagnostic("set", text, value.location, whole))
        items = list(value.data)
        items[int(step)] = _set(items[int(step)], tuple(rest), new, whole)
        return replace(value, data=items)
    if value.data is None:
        value = replace(value, data={})
    if not isinstance(value.data, dict):
        raise SpecError(
            Diagnostic("set", f"cannot set `{whole}`: there is no mapping before `{step}`", value.location, whole)
        )
    child = value.data.get(step, Value(None, value.location))
    return replace(value, data={**value.data, step: _set(child, tuple(rest), new, whole)})


def _from_python(data: Any, path: Path, count: list[int]) -> Value:
    count[0] += 1
    where = ".".join(map(str, path))
    if len(path) > MAX_DEPTH or count[0] > MAX_VALUES:
        raise SpecError(
            Diagnostic(
                "yaml-budget", f"nested deeper than {MAX_DEPTH} or more than {MAX_VALUES:,} values", path=where[:200]
            )
        )
    if isinstance(data, Mapping):
        for key in data:
            if not isinstance(key, str):
                raise SpecError(Diagnostic("yaml-key", f"the key {key!r} is not a string", path=where))
        return Value({key: _from_python(value, (*path, key), count) for key, value in data.items()})
    if isinstance(data, list | tuple):
        return Value([_from_python(value, (*path, index), count) for index, value in enumerate(data)])
    if data is None or type(data) in (bool, int, float, str):
        return Value(data)
    raise SpecError(
        Diagnostic(
            "yaml-type", f"a {type(data).__name__} cannot stand in a spec", path=where, label="what YAML can spell"
        )
    )


class _Reader:
    """One pass over the events, with a stack of its own so that depth is a number and not a crash."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.num_values = 0
        self.anchors: dict[str, tuple[Value, int] | None] = {}
        # Open collections: start event, anchor, children so far, key waiting for its value, values before it.
        self.stack: list[list[Any]] = []
        self.root: Value | None = None

    def read(self) -> Value:
        self.characters()
        documents = 0
        try:
            for event in yaml.parse(self.source.text, Loader=_PARSER):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if event.version or event.tags:
                        raise self.problem(
                            "directive", "directives (`%YAML`, `%TAG`) are not part of a spec", event, "remove it"
                        )
                    if documents > 1:
                        raise self.problem(
                            "documents", "a spec is one document", event, "remove `---` and what follows"
                        )
                else:
                    self.take(event)
        except yaml.YAMLError as error:
            raise self.syntax(error) from error
        if self.root is None:
            raise SpecError(
                Diagnostic(
                    "yaml-empty",
                    f"`{self.source.name}` is empty",
                    label="a mapping",
                    help=("`composer new` writes a spec to start from",),
                )
            )
        return self.root

    def characters(self) -> None:
        match = _FORBIDDEN.search(self.source.text)
        if match is None:
            return
        before = self.source.text[: match.start()]
        line, column = before.count("\n") + 1, match.start() - (before.rfind("\n") + 1) + 1
        tab = match.group() == "\t"
        text = "tabs are not allowed" if tab else f"the control character U+{ord(match.group()):04X} is not allowed"
        help = "write spaces, or `\\t` inside double quotes" if tab else "remove it"
        raise SpecError(
            Diagnostic(
                "yaml-tab" if tab else "yaml-character",
                text,
                Location(self.source, line, column, column + 1),
                help=(help,),
            )
        )

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self.alias(event)
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            implicit = event.implicit if isinstance(event.implicit, bool) else True
            if event.tag is not None and not (
                isinstance(event, yaml.ScalarEvent) and event.tag == "!" and implicit is True and event.style
            ):
                raise self.problem("tag", f"tags (`{event.tag}`) are not part of a spec", event, "remove it")
            self.num_values += 1
            self.budget(event)
            if isinstance(event, yaml.ScalarEvent):
                value = Value(self.scalar(event), self.location(event))
                if event.anchor:
                    self.anchors[event.anchor] = (value, 1)
                self.add(value, event)
            else:
                if len(self.stack) >= MAX_DEPTH:
                    raise self.problem("depth", f"nested deeper than {MAX_DEPTH}", event, "flatten it")
                if event.anchor:
                    self.anchors[event.anchor] = None
                data: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                self.stack.append([event, data, None, self.num_values])
        elif isinstance(event, yaml.CollectionEndEvent):
            start, data, _, before = self.stack.pop()
            value = Value(data, self.location(start, event))
            if start.anchor:
                self.anchors[start.anchor] = (value, self.num_values - before + 1)
            self.add(value, start)

    def budget(self, event: Any) -> None:
        if self.num_values > MAX_VALUES:
            raise self.problem(
                "budget", f"more than {MAX_VALUES:,} values", event, "aliases count as what they stand for"
            )

    def alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise self.problem("alias", f"there is no anchor `&{event.anchor}` before this", event, "define it first")
        known = self.anchors[event.anchor]
        if known is None:
            raise self.problem(
                "alias", f"`*{event.anchor}` stands inside its own anchor", event, "a value cannot hold itself"
            )
        value, size = known
        self.num_values += size
        self.budget(event)
        self.add(value, event)

    def add(self, value: Value, event: Any) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        data, key = top[1], top[2]
        if isinstance(data, list):
            data.append(value)
        elif key is None:
            top[2] = (self.key(value, event, data), value.location)
        else:
            name, location = key
            data[name] = replace(value, key_location=location)
            top[2] = None

    def key(self, value: Value, event: Any, data: dict[str, Value]) -> str:
        text = event.value if isinstance(event, yaml.ScalarEvent) else None
        if text == "<<" and not event.style:
            raise self.problem("merge", "merge keys (`<<`) are not part of a spec", event, "write the keys out")
        whole = isinstance(value.data, int) and not isinstance(value.data, bool)
        if not isinstance(value.data, str) and not (whole and text is not None):
            raise self.problem("key", f"the key is {value.data!r:.40}, not a string", event, "write it in quotes")
        name = value.data if isinstance(value.data, str) else str(text)
        if name in data:
            first = data[name].key_location
            raise self.problem(
                "duplicate-key",
                f"the key `{name}` is written twice",
                event,
                f"the first is on line {first.line if first else '?'}; keep one",
            )
        return name

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text) or _BASED.fullmatch(text):
            if len(text) > MAX_DIGITS:
                raise self.problem(
                    "number", f"a number of {len(text)} digits", event, "write a smaller one, or a string in quotes"
                )
            return int(text) if _INT.fullmatch(text) else int(text, 0)
        return float(text) if _FLOAT.fullmatch(text) else text

    def location(self, start: Any, end: Any = None) -> Location:
        first, last = start.start_mark, (end or start).end_mark
        line, column = first.line + 1, first.column + 1
        if last.line == first.line and last.column > first.column:
            return Location(self.source, line, column, last.column + 1)
        rest = len(self.source.line(line))
        return Location(self.source, line, column, max(rest, column) + 1)

    def problem(self, code: str, message: str, event: Any, help: str) -> SpecError:
        return SpecError(Diagnostic(f"yaml-{code}", message, self.location(event), help=(help,)))

    def syntax(self, error: yaml.YAMLError) -> SpecError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        text = getattr(error, "problem", None) or str(error).splitlines()[0]
        context = getattr(error, "context", None)
        location = Location(self.source, mark.line + 1, mark.column + 1, mark.column + 2) if mark else None
        return SpecError(
            Diagnostic("yaml-syntax", f"not YAML: {text}" + (f" ({context})" if context else ""), location)
        )
