"""Lays out lines of Python as formatters do: what is too long is opened at its last bracket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

WIDTH = 120
_OPEN, _CLOSE = "([{", ")]}"


def laid_out(line: str, indent: int, width: int = WIDTH) -> list[str]:
    """The lines of a statement or an expression that is written in one line, indented."""
    space = " " * indent
    if len(space) + len(line) <= width:
        return [space + line]
    opened = _in_brackets(line, indent, width)
    if opened is not None:
        return opened
    found = _pairs(line)[0] if line.startswith("def ") else _last_bracket(line)
    if found is None:
        return [space + line]
    start, end = found
    head, body, tail = line[: start + 1], line[start + 1 : end], line[end:]
    if not body or (len(space) + len(tail) > width):
        return [space + line]
    parts = split(body, ",")
    lines = [space + head]
    one = " " * (indent + 4) + body
    if len(parts) == 1 and not body.endswith(","):
        lines += _single(body, indent + 4, width, is_tuple=False)
    elif len(one) <= width and not body.rstrip().endswith(","):
        lines += [one]
    else:
        for part in parts:
            inner = laid_out(f"{part},", indent + 4, width)
            lines += inner
    return [*lines, space + tail]


def _in_brackets(line: str, indent: int, width: int) -> list[str] | None:
    """A long value with operators, or with several calls in a row, in brackets of its own; None for others."""
    found = re.match(r"(return |[\w., \[\]\"]+ = )(.*)$", line)
    if found is None:
        return None
    start, value = found.groups()
    space = " " * indent
    for words in ((" if ", " else "), (" or ",), (" and ",), (" + ", " - ")):
        parts = split_words(value, words)
        if len(parts) > 1:
            break
    else:
        parts = _links(value)
        if len(parts) < 3:
            return None
    inside = [one for part in parts for one in laid_out(part, indent + 4, width)]
    whole = " " * (indent + 4) + value
    return [f"{space}{start}(", *([whole] if len(whole) <= width else inside), f"{space})"]


def _links(value: str) -> list[str]:
    """The calls in a row of a value, each with its dot: `x`, `.flatten(1)`, `.mean(1)`."""
    cuts, depth = [], 0
    for index, letter in outside_strings(value):
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == "." and depth == 0 and re.match(r"\.\w+\(", value[index:]) and value[index - 1] in ")]":
            cuts.append(index)
    edges = [0, *cuts, len(value)]
    return [value[one:other] for one, other in pairwise(edges)]


def _single(body: str, indent: int, width: int, *, is_tuple: bool) -> list[str]:
    """A single argument: a comprehension opens at `for`, a choice at `if` and `else`, a sum at its operators."""
    space = " " * indent
    if len(space) + len(body) <= width:
        return [space + body]
    for words in ((" for ", " if "), (" if ", " else "), (" or ",), (" and ",), (" + ", " - ")):
        parts = split_words(body, words)
        if len(parts) > 1:
            lines: list[str] = []
            for part in parts:
                lines += laid_out(part, indent, width)
            return lines
    return laid_out(body, indent, width)


def _last_bracket(line: str) -> tuple[int, int] | None:
    """Where the last bracket at the outer level opens and closes, that holds something."""
    pairs = [(start, end) for start, end in _pairs(line) if end > start + 1]
    return pairs[-1] if pairs else None


def _pairs(line: str) -> list[tuple[int, int]]:
    depth, start, found = 0, 0, []
    for index, letter in outside_strings(line):
        if letter in _OPEN:
            if depth == 0:
                start = index
            depth += 1
        elif letter in _CLOSE:
            depth -= 1
            if depth == 0:
                found.append((start, index))
    return found


def outside_strings(line: str) -> list[tuple[int, str]]:
    """The letters of a line that are in no string, with where they stand."""
    quote, found, skip = "", [], False
    for index, letter in enumerate(line):
        if skip:
            skip = False
        elif quote:
            if letter == "\\":
                skip = True
            elif letter == quote:
                quote = ""
        elif letter in "\"'":
            quote = letter
        else:
            found.append((index, letter))
    return found


def split(text: str, mark: str) -> list[str]:
    """The parts of a text between commas that are in no bracket."""
    parts, depth, start = [], 0, 0
    if len(split_words(text, (" for ",))) > 1:
        # The commas of a comprehension part nothing.
        return [text.strip()]
    for index, letter in outside_strings(text):
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == mark and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def split_words(text: str, words: Sequence[str]) -> list[str]:
    """The parts of a text, each of which begins with one of these words, outside brackets."""
    cuts, depth = [], 0
    for index, letter in outside_strings(text):
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if depth == 0 and any(text.startswith(word, index) for word in words):
            cuts.append(index)
    edges = [0, *cuts, len(text)]
    return [text[one:other].strip() for one, other in pairwise(edges) if text[one:other].strip()]
