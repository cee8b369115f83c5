"""What went wrong, where, and what to do about it: one shape of problem for every stage."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_SHOWN = 20


@dataclass(frozen=True)
class Source:
    """A text that people wrote: its name as they know it, and the text itself for excerpts."""

    name: str
    text: str = field(default="", repr=False)

    def line(self, number: int) -> str:
        """The text of one line, counted from 1; empty past the end."""
        lines = self.text.split("\n", number)
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


@dataclass(frozen=True)
class Location:
    """A stretch of one line of a source. Lines and columns count characters from 1; `end_column` is exclusive."""

    source: Source
    line: int
    column: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Diagnostic:
    """One problem.

    message   what was found, in a sentence without a full stop
    location  where in the text, when there is a text
    path      the dotted path: of the value in the spec (`attention.0.use`) or of the node (`layer1.0.conv2`)
    label     a few words under the caret: what was expected
    help      what to do, a line each
    """

    code: str
    message: str
    location: Location | None = None
    path: str = ""
    label: str = ""
    help: tuple[str, ...] = ()
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.severity}: {self.message}"
        margin = " "
        if self.location is not None:
            margin = " " * len(str(self.location.line))
            yield f"{margin}--> {self.location}"
            yield from self._excerpt(self.location, margin)
        elif self.label:
            yield f"{margin} = expected: {self.label}"
        if self.path:
            yield f"{margin} = at: {self.path}"
        for text in self.help:
            first, *rest = text.split("\n")
            yield f"{margin} = help: {first}"
            yield from (f"{margin}         {line}" for line in rest)

    def _excerpt(self, location: Location, margin: str) -> Iterator[str]:
        text = location.source.line(location.line)
        if not text:
            if self.label:
                yield f"{margin} = expected: {self.label}"
            return
        text, column = _window(text, location.column)
        width = max(1, min(location.end_column - location.column, len(text) - column + 1))
        yield f"{margin} |"
        yield f"{location.line} | {_visible(text)}"
        yield f"{margin} | {' ' * (column - 1)}{'^' * width} {self.label}".rstrip()
        yield f"{margin} |"

    def to_json(self) -> dict[str, Any]:
        """The same facts as plain JSON values."""
        location = self.location
        return {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "file": location.source.name if location else None,
            "line": location.line if location else None,
            "column": location.column if location else None,
            "end_column": location.end_column if location else None,
            "path": self.path,
            "expected": self.label,
            "help": list(self.help),
        }

    @property
    def order(self) -> tuple[str, int, int, str]:
        """Sort key: by file, then position, then path."""
        if self.location is None:
            return ("", 0, 0, self.path)
        return (self.location.source.name, self.location.line, self.location.column, self.path)


def _window(text: str, column: int, width: int = 120) -> tuple[str, int]:
    """A readable part of an over-long line around the column, and the column within it."""
    if len(text) <= width:
        return text, column
    start = max(0, min(column - 1 - width // 2, len(text) - width))
    return text[start : start + width], column - start


def _visible(text: str) -> str:
    """Text that cannot move a terminal's cursor or hide: one column a character."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


class ComposerError(Exception):
    """The base of every error composer raises on purpose. `diagnostics` holds the problems, sorted, at most 20.

    Subclasses say which kind of input was at fault; `exit_code` is what the command line exits with.
    """

    exit_code = 1

    def __init__(self, problems: Diagnostic | Iterable[Diagnostic]) -> None:
        found = [problems] if isinstance(problems, Diagnostic) else list(problems)
        assert found, "an error needs a diagnostic"
        found = sorted(dict.fromkeys(found), key=lambda problem: problem.order)
        self.diagnostics: tuple[Diagnostic, ...] = tuple(found[:MAX_SHOWN])
        self.omitted = len(found) - len(self.diagnostics)
        super().__init__(found)

    def __str__(self) -> str:
        text = "\n\n".join(map(str, self.diagnostics))
        return f"{text}\n\n… and {self.omitted} more" if self.omitted else text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self.diagnostics),)


class SpecError(ComposerError):
    """The text of a spec: YAML, structure, references, expressions."""


class GraphError(ComposerError):
    """What a spec asks for cannot be composed: unknown names, options, shapes, places, budgets."""


class PluginError(ComposerError):
    """A mechanism or layer is not declared the way the plugin contract asks."""


class WeightsError(ComposerError):
    """A weights file cannot be read or does not fit the network."""


class InputError(ComposerError):
    """An input to the network (an image, a tensor file) or an output path cannot be used."""


class UnavailableError(ComposerError):
    """This machine lacks something that was asked for: a device, or a package of an extra."""

    exit_code = 3


def suggest(word: object, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was probably meant to be."""
    close = difflib.get_close_matches(str(word)[:80].lower(), known := sorted(candidates), n=1, cutoff=0.6)
    if not close:
        close = [name for name in known if name.lower() == str(word).lower()]
    return close[0] if close else None


def did_you_mean(word: object, candidates: Iterable[str], otherwise: str = "") -> tuple[str, ...]:
    """Help lines for an unknown name: the nearest known one, and where to look for the rest."""
    nearest = suggest(word, candidates)
    line = "  ".join(part for part in (f"did you mean `{nearest}`?" if nearest else "", otherwise) if part)
    return (line,) if line else ()


def one_of(names: Iterable[str], limit: int = 12) -> str:
    """A list of names for a message, cut where it would be too long to read."""
    known = list(names)
    shown = ", ".join(f"`{name}`" for name in known[:limit])
    return f"{shown}, … ({len(known)} in all)" if len(known) > limit else shown or "none"
