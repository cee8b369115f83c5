"""YAML text -> plain values that know their line and column. Reads PyYAML's events and constructs no objects.

PyYAML's own loaders crash on deep nesting, accept duplicate keys, and read `on` as True and `010` as 8.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from composer.errors import Diagnostic, Location, Source, SpecError, typed_in
from composer.spec.document import MAX_DEPTH, MAX_DIGITS, MAX_VALUES, Document, Value, unseen

MAX_BYTES = 1 << 20

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
# U+0085, U+2028 and U+2029 end lines in YAML 1.1 and so in PyYAML, but nowhere else. Characters that change the
# direction of a line show a text as another text.
_FORBIDDEN = re.compile(
    "[^\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def decode(data: bytes, name: str) -> Source:
    """The text of a file. Raises SpecError if it is too large or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise SpecError(Diagnostic("yaml-size", f"`{name}` is larger than 1 MiB", label=f"at most {MAX_BYTES:,} bytes"))
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = "it looks like UTF-16" if data.startswith(_UTF16) else f"byte 0x{data[error.start]:02X} on line {line}"
        help = ("save the file as UTF-8",)
        problem = Diagnostic("yaml-encoding", f"`{name}` is not UTF-8: {what}", label="UTF-8 text", help=help)
        raise SpecError(problem) from error


def read(source: Source) -> Document:
    """The document that a text spells. Raises SpecError, with its position, for YAML outside the spec language."""
    return Document(*_spelled(source))


# Whoever compares networks of the zoo reads the same few files again and again. Only what nobody can change is kept:
# the plain values of a document are its own.
@lru_cache(maxsize=64)
def _spelled(source: Source) -> tuple[Source, Value]:
    """The text, as the locations of the values know it, and the value that it spells."""
    root = _Reader(source).read(source.text)
    if root is None or root.data is None:
        help = ("`composer new` writes a spec to start from",)
        raise SpecError(Diagnostic("yaml-empty", f"`{source.name}` is empty", label="a mapping", help=help))
    return source, root


def parse_value(text: str) -> Any:
    """The plain value of a YAML text; None if it is empty. Raises SpecError."""
    return read_value(Source("<value>", text), 0).plain()


def read_value(source: Source, start: int) -> Value:
    """The value that a line spells from a column on."""
    # Blanks in place of the text before it keep the columns right.
    value = _Reader(source).read(" " * start + source.text[start:])
    return value or Value(None, Location(source, 1, start + 1, start + 2))


@dataclass(slots=True)
class _Open:
    """A collection that has not ended yet."""

    event: Any
    data: Any
    before: int
    key: tuple[str, Location] | None = None


class _Reader:
    """A single pass over the events, with its own stack, so that deep nesting is counted and does not crash."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.num_values = 0
        self.documents = 0
        # Anchor -> its value and the number of values inside; None until the value is complete.
        self.anchors: dict[str, tuple[Value, int] | None] = {}
        self.stack: list[_Open] = []
        self.root: Value | None = None

    def read(self, text: str) -> Value | None:
        self.characters()
        try:
            for event in yaml.parse(text, Loader=_PARSER):
                self.take(event)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise self.syntax(error) from error
        return self.root

    def characters(self) -> None:
        match = _FORBIDDEN.search(self.source.text)
        if match is None:
            return
        line, column = self.source.position(match.start())
        location = Location(self.source, line, column, column + 1)
        if match.group() == "\t":
            help = "write spaces, or `\\t` inside double quotes"
            raise SpecError(Diagnostic("yaml-tab", "tabs are not allowed", location, help=(help,)))
        text = f"the character U+{ord(match.group()):04X} is not allowed"
        raise SpecError(Diagnostic("yaml-character", text, location, help=("remove it",)))

    def take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.document(event)
            case yaml.AliasEvent():
                self.alias(event)
            case yaml.ScalarEvent():
                self.count(event)
                value = Value(self.scalar(event), self.location(event))
                if event.anchor:
                    self.anchors[event.anchor] = (value, 1)
                self.add(value, event)
            case yaml.CollectionStartEvent():
                self.open(event)
            case yaml.CollectionEndEvent():
                self.close(event)

    def document(self, event: Any) -> None:
        self.documents += 1
        if event.version or event.tags:
            raise self.problem(
                "yaml-directive", "directives (`%YAML`, `%TAG`) are not part of a spec", event, "remove it"
            )
        if self.documents > 1:
            raise self.problem("yaml-documents", "a spec is one document", event, "remove `---` and what follows")

    def open(self, event: Any) -> None:
        self.count(event)
        if len(self.stack) >= MAX_DEPTH:
            raise self.problem("yaml-depth", f"nested deeper than {MAX_DEPTH}", event, "flatten it")
        if event.anchor:
            self.anchors[event.anchor] = None
        data: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.stack.append(_Open(event, data, self.num_values))

    def close(self, event: Any) -> None:
        opened = self.stack.pop()
        value = Value(opened.data, self.location(opened.event, event))
        if opened.event.anchor:
            self.anchors[opened.event.anchor] = (value, self.num_values - opened.before + 1)
        self.add(value, opened.event)

    def count(self, event: Any, number: int = 1) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            negated = tag[1:] if tag.startswith("!") and tag[1:].isidentifier() else ""
            help = f"remove it; in a condition, write `not {negated}`" if negated else "remove it"
            raise self.problem("yaml-tag", f"tags (`{tag}`) are not part of a spec", event, help)
        self.num_values += number
        if self.num_values > MAX_VALUES:
            help = "aliases count as what they stand for"
            raise self.problem("yaml-budget", f"more than {MAX_VALUES:,} values", event, help)

    def alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise self.problem(
                "yaml-alias", f"there is no anchor `&{event.anchor}` before this", event, "define it first"
            )
        known = self.anchors[event.anchor]
        if known is None:
            help = "a value cannot hold itself"
            raise self.problem("yaml-alias", f"`*{event.anchor}` stands inside its own anchor", event, help)
        value, size = known
        self.count(event, size)
        self.add(value, event)

    def add(self, value: Value, event: Any) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if isinstance(top.data, list):
            top.data.append(value)
        elif top.key is None:
            top.key = (self.key(value, event, top.data), self.location(event))
        else:
            name, location = top.key
            top.data[name] = Value(value.data, value.location, location)
            top.key = None

    def key(self, value: Value, event: Any, data: dict[str, Value]) -> str:
        text = event.value if isinstance(event, yaml.ScalarEvent) else None
        if text == "<<" and not event.style:
            raise self.problem("yaml-merge", "merge keys (`<<`) are not part of a spec", event, "write the keys out")
        whole = isinstance(value.data, int) and not isinstance(value.data, bool)
        if not isinstance(value.data, str) and not (whole and text is not None):
            collection = "a mapping" if isinstance(value.data, dict) else "a list"
            found = collection if text is None else f"`{text}`" if text else "empty"
            raise self.problem(
                "yaml-key", f"a key is {found}, not a string", event, "write a name, in quotes if need be"
            )
        name = value.data if isinstance(value.data, str) else str(text)
        if name in data:
            first = data[name].key_location
            help = f"the first is on line {first.line if first else '?'}; keep one"
            raise self.problem("yaml-duplicate-key", f"the key `{name}` is written twice", event, help)
        return name

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style:
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise self.problem("yaml-character", "lone surrogates are not characters", event, "remove the escape")
            if hidden := unseen(text):
                raise self.problem("yaml-character", hidden, event, "remove it")
            return text
        if text in _WORDS:
            return _WORDS[text]
        if not _FLOAT.fullmatch(text) and not _BASED.fullmatch(text):
            return text
        if len(text) > MAX_DIGITS:
            help = "write a smaller one, or a string in quotes"
            raise self.problem("yaml-number", f"a number of {len(text):,} digits", event, help)
        number = int(text) if _INT.fullmatch(text) else int(text, 0) if _BASED.fullmatch(text) else float(text)
        if math.isinf(number):
            raise self.problem("yaml-number", f"`{text}` is larger than any float", event, "write `.inf` for infinity")
        return number

    def location(self, start: Any, end: Any = None) -> Location:
        first, last = start.start_mark, (end or start).end_mark
        line, column = first.line + 1, first.column + 1
        if last.line == first.line and last.column > first.column:
            return Location(self.source, line, column, last.column + 1)
        rest = len(self.source.line(line))
        return Location(self.source, line, column, max(rest, column) + 1)

    def problem(self, code: str, message: str, event: Any, help: str) -> SpecError:
        return SpecError(Diagnostic(code, message, self.location(event), help=(help,)))

    def before(self, line: int, column: int) -> Location:
        """This place, or the end of the last line before it that is not empty: a message points at text."""
        while line > 1 and not self.source.line(line):
            line -= 1
            column = len(self.source.line(line)) + 1
        return Location(self.source, line, column, column + 1)

    def syntax(self, error: Exception) -> SpecError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        text = str(getattr(error, "problem", None) or error)
        context = getattr(error, "context", None)
        location = self.before(mark.line + 1, mark.column + 1) if mark else None
        message = f"not YAML: {text}" + (f" ({context})" if context else "")
        line = self.source.line(location.line) if location else ""
        help = (*typed_in(line), *[help for known, help in _ADVICE if known in message][:1])
        return SpecError(Diagnostic("yaml-syntax", message, location, help=help))


_QUOTE = "text with `{ } [ ] , : #` or a leading `* & ! % @` in it needs quotes"
# Part of PyYAML's message -> the usual cause.
_ADVICE = (
    ("mapping values are not allowed", "text with `: ` in it needs quotes; or this line is indented too far"),
    ("expected key", "keys of one mapping start in the same column; text after a closing quote belongs inside it"),
    ("expected ':'", "a key needs a `:` and a space"),
    ("expected ','", f"a comma or a closing bracket is missing; or {_QUOTE}"),
    ("expected '-' indicator", "items of one list start in the same column, each with `- `"),
    ("unknown escape", "in double quotes `\\` starts an escape; single quotes have none"),
    ("invalid Unicode", "this escape is no character"),
    ("end of stream", "the quotes are never closed"),
    ("expected node content", "a key or a value is missing here"),
    ("scanning an alias", _QUOTE),
    ("scanning a tag", "`!` starts a tag of YAML; in a condition write `not last`, not `!last`"),
    ("scanning an anchor", _QUOTE),
    ("cannot start any token", _QUOTE),
)
