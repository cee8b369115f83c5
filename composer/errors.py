"""Problems: what is wrong, where, and what to do. All stages report them in the same form."""

from __future__ import annotations

import difflib
import heapq
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Literal, Self

from composer.visible import visible

MAX_SHOWN = 20
# A stage stops after so many problems, because each costs a search for a suggestion.
MAX_FOUND = 100
MAX_MESSAGE = 600


@dataclass(frozen=True)
class Source:
    """A text that people wrote: its name as they know it, and the text itself for excerpts."""

    name: str
    text: str = field(default="", repr=False)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(end.end() for end in re.finditer(r"\r\n|\r|\n", self.text))]

    def line(self, number: int) -> str:
        """The text of a line, counted from 1; empty past the end."""
        if not 0 < number <= len(self._starts):
            return ""
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r\n")

    def index(self, line: int, column: int) -> int:
        """The number of characters before a line and column."""
        return self._starts[line - 1] + column - 1 if line <= len(self._starts) else len(self.text)

    def position(self, index: int) -> tuple[int, int]:
        """Line and column of a character of the text."""
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1


@dataclass(frozen=True)
class Location:
    """A stretch of a line of a source. Lines and columns count characters from 1; `end_column` is exclusive."""

    source: Source
    line: int
    column: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Diagnostic:
    """A problem.

    code      a short name of the kind of problem
    message   what was found, in a sentence without a full stop
    location  where in the text; None without a text
    path      the dotted path of the value in the spec (`attention.0.use`) or of the node (`layer1.0.conv2`)
    label     a few words under the caret: what was expected, or `not …`
    help      what to do, one line per item
    """

    code: str
    message: str
    location: Location | None = None
    path: str = ""
    label: str = ""
    help: tuple[str, ...] = ()
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return "\n".join(visible(_cut(line)) for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.severity}: {self.message}"
        margin = " "
        if self.location is not None:
            margin = " " * len(str(self.location.line))
            yield f"{margin}--> {self.location}"
        excerpt = list(self._excerpt(self.location, margin)) if self.location is not None else []
        yield from excerpt
        # Under a caret, "not an option" points at the word; elsewhere the message has said it.
        if self.label and not excerpt and not self.label.startswith("not "):
            yield f"{margin} = expected: {self.label}"
        if self.path:
            yield f"{margin} = at: {self.path}"
        for text in self.help:
            first, *rest = text.split("\n")
            yield f"{margin} = help: {first}"
            yield from (f"{margin}         {line}" for line in rest)

    def _excerpt(self, location: Location, margin: str) -> Iterator[str]:
        text, column, end = location.source.line(location.line), location.column, location.end_column
        if not text:
            return
        # A tab would shift the caret to a wrong column.
        text, column, end = _window(text.replace("\t", " "), column, end)
        before, marked = text[: column - 1], text[column - 1 : end - 1]
        yield f"{margin} |"
        yield f"{location.line} | {text}"
        yield f"{margin} | {' ' * _columns(before)}{'^' * max(1, _columns(marked))} {self.label}".rstrip()
        yield f"{margin} |"

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        location = self.location
        return {
            "severity": self.severity,
            "code": self.code,
            "message": _writable(self.message),
            "file": _writable(location.source.name) if location else None,
            "line": location.line if location else None,
            "column": location.column if location else None,
            "end_column": location.end_column if location else None,
            "path": _writable(self.path),
            "expected": _writable(self.label),
            "help": [_writable(text) for text in self.help],
        }

    @property
    def order(self) -> tuple[str, int, int, str]:
        """Sort key: by file, then position, then path."""
        if self.location is None:
            return ("", 0, 0, self.path)
        return (self.location.source.name, self.location.line, self.location.column, self.path)


def _window(text: str, column: int, end: int, width: int = 120) -> tuple[str, int, int]:
    """A readable part of an over-long line around the columns, and the columns within this part."""
    if len(text) <= width:
        return text, column, end
    start = max(0, min(column - 1 - width // 3, len(text) - width))
    left, right = "…" * (start > 0), "…" * (start + width < len(text))
    shown = left + text[start + len(left) : start + width - len(right)] + right
    return shown, column - start, min(end - start, width + 1)


def _cut(text: str) -> str:
    """A line, without its middle if it is too long for a screen."""
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 100]} … {text[-100:]}"


def _columns(text: str) -> int:
    """The number of terminal columns of a text: East Asian characters take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.category(character) in ("Mn", "Me") for character in text)


def _writable(text: str) -> str:
    """Text without lone surrogates, which no encoding can write; names of files may contain them."""
    return text.encode("utf-8", "replace").decode("utf-8")


class ComposerError(Exception):
    """The base class of all errors that composer raises on purpose.

    diagnostics  the problems, sorted, at most 20
    omitted      the number of further problems that were found
    exit_code    the exit status of the command line

    A subclass says which kind of input is at fault.
    """

    exit_code = 1

    def __init__(self, problems: Diagnostic | Iterable[Diagnostic]) -> None:
        found = [problems] if isinstance(problems, Diagnostic) else list(problems)
        assert found, "an error needs a diagnostic"
        found = sorted(dict.fromkeys(found), key=lambda problem: problem.order)
        self.diagnostics: tuple[Diagnostic, ...] = tuple(found[:MAX_SHOWN])
        self.omitted = len(found) - len(self.diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        text = "\n\n".join(map(str, self.diagnostics))
        least = "at least " if len(self.diagnostics) + self.omitted >= MAX_FOUND else ""
        return f"{text}\n\n… and {least}{self.omitted} more" if self.omitted else text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.diagnostics,), {"omitted": self.omitted}

    def changed(self, change: Callable[[Diagnostic], Diagnostic]) -> Self:
        """The same error, with each of its problems changed."""
        error = type(self)(map(change, self.diagnostics))
        error.omitted += self.omitted
        return error

    @classmethod
    def check(cls, problems: Iterable[Diagnostic]) -> None:
        """Raise this error if there are problems."""
        found = list(islice(problems, MAX_FOUND))
        if found:
            raise cls(found)


class SpecError(ComposerError):
    """The text of a spec is wrong: YAML, structure, references, expressions."""


class GraphError(ComposerError):
    """A valid spec cannot be composed: unknown names, options, shapes, places, limits."""


class PluginError(ComposerError):
    """A mechanism or layer does not follow the rules for plugins."""


class WeightsError(ComposerError):
    """A weights file cannot be read or does not fit the network."""


class InputError(ComposerError):
    """An input to the network (an image, a tensor file), an argument or an output path cannot be used."""


class UnavailableError(ComposerError):
    """This machine lacks a device, or a package of an extra."""

    exit_code = 3


class Mistakes(Exception):
    """Work on a part of a spec stops, for these problems. Whoever does the whole catches it, and goes on with the rest.

    It never leaves composer: a ComposerError tells the problems of all parts.
    """

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics


_TYPED = {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "−": "-", "×": "*", "÷": "/"}
_TYPED |= {"≤": "<=", "≥": ">=", "≠": "!=", "、": ",", "。": ".", "\xa0": " ", "…": "..."}


def typed(character: str) -> str:
    """Advice for a character that an editor or keyboard put in place of one of the language's characters."""
    plain = _TYPED.get(character) or unicodedata.normalize("NFKC", character)
    if plain == character or not plain.isascii():
        return ""
    return f"`{character}` is {unicodedata.name(character, 'a special character').lower()}: write `{plain}`"


def typed_in(text: str) -> tuple[str, ...]:
    """Advice for the first such character of a text."""
    return tuple(islice(filter(None, map(typed, text)), 1))


def suggest(word: object, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was probably meant to be; None if none is near."""
    text = str(word)[:80].lower()
    known = {name[:80].lower(): name for name in islice(candidates, 1000)}
    # Comparing sequences takes long, so only candidates with similar letters are compared.
    likely = heapq.nlargest(10, sorted(known), key=lambda name: _shared_letters(text, name))
    close = [one for one in difflib.get_close_matches(text, likely, n=3, cutoff=0.6) if _is_near(text, one)]
    return known[close[0]] if close else None


def nearest(word: object, candidates: Iterable[str], limit: int = 6) -> list[str]:
    """A few of the candidates, those most like `word` first, near or not; of equally near ones the earlier first."""
    text = str(word)[:80].lower()
    likely = heapq.nlargest(50, islice(candidates, 1000), key=lambda name: _shared_letters(text, name[:80].lower()))
    return heapq.nsmallest(limit, likely, key=lambda name: _slips(text, name[:80].lower()))


def _is_near(word: str, candidate: str) -> bool:
    """Whether one word may be a misspelling of the other: equal beginning or end, or few wrong letters."""
    short, long = sorted((word, candidate), key=len)
    if len(short) > 2 and (long.startswith(short) or long.endswith(short)):
        return True
    return _slips(word, candidate) <= max(1, len(word) // 3)


def _slips(word: str, candidate: str) -> int:
    """The number of letters that are wrong, missing, added or swapped with the next."""
    before = above = row = list(range(len(candidate) + 1))
    for number, letter in enumerate(word, 1):
        before, above, row = above, row, [number]
        for index, other in enumerate(candidate):
            steps = [above[index] + (letter != other), above[index + 1] + 1, row[index] + 1]
            if number > 1 and index and letter == candidate[index - 1] and word[number - 2] == other:
                steps.append(before[index - 1] + 1)
            row.append(min(steps))
    return row[-1]


def _shared_letters(one: str, other: str) -> float:
    return (Counter(one) & Counter(other)).total() / (len(one) + len(other) or 1)


def did_you_mean(word: object, candidates: Iterable[str], otherwise: str = "") -> tuple[str, ...]:
    """Help lines for an unknown name: the nearest known name, and where to find all."""
    nearest = suggest(word, candidates)
    line = "  ".join(part for part in (f"did you mean `{nearest}`?" if nearest else "", otherwise) if part)
    return (*typed_in(str(word)[:80]), *((line,) if line else ()))


_MEANT = re.compile(r"did you mean `([^`]+)`\?")


def meant(problem: Diagnostic) -> str | None:
    """The name that `did_you_mean` proposes in the help of a problem; None if there is none."""
    found = next(filter(None, map(_MEANT.match, problem.help)), None)
    return found[1] if found else None


def one_of(names: Iterable[str], limit: int = 12) -> str:
    """A list of names for a message, shortened if there are more than `limit`."""
    known = list(names)
    shown = ", ".join(f"`{name}`" for name in known[:limit])
    return f"{shown}, … ({len(known)} in all)" if len(known) > limit else shown or "none"
