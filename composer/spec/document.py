"""Plain values that know their line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import Any

from composer.errors import Diagnostic, Location, Source, SpecError

MAX_DEPTH = 64
MAX_VALUES = 200_000
MAX_DIGITS = 64

# The way to a value of a document: keys of mappings and positions in lists.
Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
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

    def child(self, step: str | int) -> Value | None:
        """The value of a key or at an index, where there is one."""
        if isinstance(self.data, dict):
            found: Value | None = self.data.get(step)
            return found
        if isinstance(self.data, list) and isinstance(step, int) and 0 <= step < len(self.data):
            item: Value = self.data[step]
            return item
        return None

    def with_value(self, path: tuple[str, ...], new: Value, done: tuple[str, ...] = ()) -> Value:
        """This value with one inside it set; mappings on the way are made. Raises SpecError where that cannot be."""
        if not path:
            return replace(new, key_location=self.key_location or new.key_location)
        step, *rest = path
        if isinstance(self.data, list):
            if not step.isdecimal() or not step.isascii() or int(step) >= len(self.data):
                label = f"an index from 0 to {len(self.data) - 1}" if self.data else "no index: the list is empty"
                raise _cannot_set(done, step, new, f"`{step}` is no item of a list of {len(self.data)}", label)
            items = list(self.data)
            items[int(step)] = items[int(step)].with_value(tuple(rest), new, (*done, step))
            return replace(self, data=items)
        if not isinstance(self.data, dict | None):
            raise _cannot_set(done, step, new, f"`{'.'.join(done)}` holds a single value", "a mapping or a list")
        if self.data is None and step.isdecimal():
            raise _cannot_set(done, step, new, f"there is no list `{'.'.join(done)}`", "set the whole list")
        known = self.data or {}
        child = known.get(step) or Value(None, new.location, new.key_location)
        return replace(self, data={**known, step: child.with_value(tuple(rest), new, (*done, step))})


def _cannot_set(done: tuple[str, ...], step: str, new: Value, reason: str, label: str) -> SpecError:
    path = ".".join((*done, step))
    return SpecError(Diagnostic("set", f"cannot set `{path}`: {reason}", new.key_location, path, label))


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

    @property
    def comment(self) -> str:
        """What the comment on its first lines says; empty without one, as where there is no text."""
        lines = takewhile(lambda line: line.startswith("#"), self.source.text.splitlines())
        return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)

    def nearest(self, path: Keys) -> Value:
        """The value at the path, or the deepest of those around it that is written."""
        value = self.root
        for step in path:
            child = value.child(step)
            if child is None:
                break
            value = child
        return value

    def location(self, path: Keys, key: bool = False) -> Location | None:
        """Where the value at the path stands, or the deepest of those around it; `key` for its key."""
        value = self.nearest(path)
        return value.key_location or value.location if key else value.location

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], name: str = "<mapping>") -> Document:
        """A document from Python values. Raises SpecError for what YAML could not spell."""
        return cls(Source(name), _Converter().value(data, ()))


# Controls, and what turns the direction of the text behind it.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def unseen(text: str) -> str:
    """What to say of a text that would move the cursor or show as another; empty for any other text."""
    found = None if text.isascii() and text.isprintable() else _UNSEEN.search(text)
    return f"the character U+{ord(found.group()):04X} would not show, and hide what does" if found else ""


def _plain_value(data: Any) -> Any:
    """The Python value of a scalar or an array of another library, such as numpy; any other value as it is."""
    convert = getattr(data, "tolist", None)
    return convert() if callable(convert) and type(data).__module__.partition(".")[0] == "numpy" else data


class _Converter:
    def __init__(self) -> None:
        self.count = 0

    def value(self, data: Any, path: Keys) -> Value:
        self.count += 1
        if len(path) > MAX_DEPTH or self.count > MAX_VALUES:
            text = f"nested deeper than {MAX_DEPTH}" if len(path) > MAX_DEPTH else f"more than {MAX_VALUES:,} values"
            raise self.problem("yaml-budget", text, path)
        if isinstance(data, Mapping):
            return Value({self.key(key, path): self.value(value, (*path, key)) for key, value in data.items()})
        if isinstance(data, Sequence) and not isinstance(data, str | bytes | bytearray):
            return Value([self.value(value, (*path, index)) for index, value in enumerate(data)])
        data = _plain_value(data)
        if isinstance(data, list):
            return self.value(data, path)
        if type(data) is str:
            return Value(self.text(data, path))
        if type(data) is int and abs(data) >= 10**MAX_DIGITS:
            raise self.problem("yaml-number", f"a number of more than {MAX_DIGITS} digits", path)
        if data is None or type(data) in (bool, int, float):
            return Value(data)
        label = "what YAML can spell: numbers, strings, true, false, null, lists, mappings"
        raise self.problem("yaml-type", f"a {type(data).__name__} cannot stand in a spec", path, label)

    def key(self, key: Any, path: Keys) -> str:
        if type(key) is not str:
            raise self.problem("yaml-key", f"a key is a {type(key).__name__}, not a string", path)
        return self.text(key, path)

    def text(self, text: str, path: Keys) -> str:
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise self.problem("yaml-character", "a string holds a lone surrogate, which no file can", path)
        if hidden := unseen(text):
            raise self.problem("yaml-character", hidden, path, "text that shows")
        return text

    def problem(self, code: str, message: str, path: Keys, label: str = "") -> SpecError:
        return SpecError(Diagnostic(code, message, None, ".".join(map(str, path)), label))
