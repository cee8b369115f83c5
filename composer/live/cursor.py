"""Places of a text: what stands at a position, and what would stand there once it is typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from composer.errors import Location, Source, SpecError
from composer.spec.document import Document, Keys, Value
from composer.spec.yaml import read

# A character that no keyboard has: it stands for the word that is being typed.
MARK = "\ue000"
# As many lines that are no YAML yet are left out to read the others.
MOST_LEFT_OUT = 5

_BEFORE = re.compile(r"[\w.*/-]*\Z")
_AFTER = re.compile(r"[\w.*/-]*")
_ALONE = re.compile(r"(?:^|\n)[ ]*(?:- +)*\Z")


@dataclass(frozen=True)
class Spot:
    """What stands at a position.

    path    of the value; `is_key` if the position is on its key
    """

    document: Document
    path: Keys
    value: Value
    location: Location
    is_key: bool


@dataclass(frozen=True)
class Typing:
    """A value, or a key, that is being typed.

    path    of the value that it will be; the last step of a key is MARK
    before  what the value has before the word, such as `timm:`, or the text of a condition
    document  the text, with MARK in place of the word
    """

    document: Document
    path: Keys
    before: str
    is_key: bool


def readable(source: Source) -> Document | None:
    """The document of a text without the lines that are no YAML; None if too many are not."""
    lines = source.text.split("\n")
    for _ in range(MOST_LEFT_OUT):
        try:
            return read(Source(source.name, "\n".join(lines)))
        except SpecError as error:
            location = error.diagnostics[0].location
            if location is None or not 0 < location.line <= len(lines) or not lines[location.line - 1]:
                return None
            # An empty line keeps the numbers of the others.
            lines[location.line - 1] = ""
    return None


def spot(document: Document, line: int, column: int) -> Spot | None:
    """The key or the single value at a line and column, both from 1; None if there is none."""
    return next(_spots(document, document.root, (), line, column), None)


def _spots(document: Document, value: Value, path: Keys, line: int, column: int) -> Iterator[Spot]:
    for location, is_key in ((value.key_location, True), (value.location, False)):
        single = is_key or not isinstance(value.data, dict | list)
        if location is not None and single and _covers(location, line, column):
            yield Spot(document, path, value, location, is_key)
    children = value.data.items() if isinstance(value.data, dict) else ()
    items = enumerate(value.data) if isinstance(value.data, list) else ()
    for step, child in (*children, *items):
        yield from _spots(document, child, (*path, step), line, column)


def _covers(location: Location, line: int, column: int) -> bool:
    return location.line == line and location.column <= column < location.end_column


def typing(source: Source, index: int) -> list[Typing]:
    """What the word at an index of the text may be: a key, a value, or either; empty where it is neither.

    source  the text, which need not be YAML
    index   the number of characters before the cursor
    """
    text = source.text
    if MARK in text or _is_in_comment(text, index):
        return []
    start, end = bounds(text, index)
    before, after = text[:start], text[end:]
    ends = ("", _closing(before))
    values = [f"{before}{MARK}{after}", f"{before}{MARK}{ends[1]}"]
    keys = [f"{before}{MARK}: {after}", f"{before}{MARK}: {ends[1]}"]
    if after.lstrip(" ").startswith(":"):
        keys.insert(0, values[0])
    found = [_first(source.name, [values[0], *keys, values[1]])]
    if _ALONE.search(before):
        # A word alone on its line may become either.
        found = [_first(source.name, keys), _first(source.name, values)]
    return list({(one.path, one.is_key): one for one in found if one is not None}.values())


def bounds(text: str, index: int) -> tuple[int, int]:
    """The first and the last index of the word around an index."""
    line = text.rfind("\n", 0, index) + 1
    before, after = _BEFORE.search(text[line:index]), _AFTER.match(text, index)
    return index - len(before[0] if before else ""), index + len(after[0] if after else "")


def _first(name: str, texts: list[str]) -> Typing | None:
    """The first of some texts in which the word stands, as a key or a value."""
    for text in texts:
        document = readable(Source(name, text))
        found = None if document is None else next(_marked(document, document.root, ()), None)
        if found is not None:
            return found
    return None


def _marked(document: Document, value: Value, path: Keys) -> Iterator[Typing]:
    if isinstance(value.data, str) and MARK in value.data:
        yield Typing(document, path, value.data.partition(MARK)[0], False)
    children = value.data.items() if isinstance(value.data, dict) else ()
    for key, child in children:
        if MARK in key:
            yield Typing(document, (*path, key), key.partition(MARK)[0], True)
        yield from _marked(document, child, (*path, key))
    for index, child in enumerate(value.data) if isinstance(value.data, list) else ():
        yield from _marked(document, child, (*path, index))


def _is_in_comment(text: str, index: int) -> bool:
    """Whether a position is behind the `#` of a comment."""
    line = text[text.rfind("\n", 0, index) + 1 : index]
    return any(found.state == "comment" for found in [_scan(line)])


@dataclass
class _Scan:
    """What a text leaves open: brackets, the innermost last; and a quotation or a comment."""

    brackets: list[str]
    state: str


def _scan(text: str) -> _Scan:
    brackets: list[str] = []
    state, before = "", "\n"
    for character in text:
        if state in ("'", '"'):
            # `''` closes a quotation and opens it again, which leaves the same open.
            state = "" if character == state and before != "\\" else state
        elif state == "comment":
            state = "" if character == "\n" else state
        elif character == "#" and before.isspace():
            state = "comment"
        elif character in "'\"" and (before.isspace() or before in "[{,:"):
            state = character
        elif character in "[{" and (brackets or before.isspace() or before in ":-"):
            brackets.append({"[": "]", "{": "}"}[character])
        elif brackets and character == brackets[-1]:
            brackets.pop()
        # A bracket in a plain word, as in `layer[2-4]`, follows a letter; spaces before a value do not matter.
        before = character
    return _Scan(brackets, state)


def _closing(text: str) -> str:
    """The quotes and brackets that a text leaves open."""
    found = _scan(text)
    quote = found.state if found.state in ("'", '"') else ""
    return quote + "".join(reversed(found.brackets))
