"""Shows errors: their usual text, in colour on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from composer.cli.screen import word_lines
from composer.errors import ComposerError
from composer.lines import Line, Part

_HEAD = re.compile(r"(error|warning)(\[[a-z0-9-]+\])?(:.*)")
_EXCERPT = re.compile(r"( *[0-9]* (?:\||-->|=))(.*)")
_CARETS = re.compile(r"( +\| +)(\^+.*)")
_STYLES = {"error": "bold red", "warning": "bold yellow"}


def show(error: ComposerError) -> None:
    """Print an error on stderr, in colour on a terminal, with the codes that `composer show errors CODE` explains."""
    word_lines(map(_styled, _with_codes(error)))


def _with_codes(error: ComposerError) -> Iterator[str]:
    codes = iter(problem.code for problem in error.diagnostics)
    for line in str(error).split("\n"):
        found = _HEAD.fullmatch(line)
        # Only the first line of a problem begins like this: all others are indented.
        code = next(codes, None) if found else None
        yield f"{found[1]}[{code}]{found[3]}" if found and code else line


def to_json(error: ComposerError) -> dict[str, object]:
    """An error as plain JSON values."""
    problems = [problem.to_json() for problem in error.diagnostics]
    return {"ok": False, "errors": problems, "omitted": error.omitted}


def _styled(line: str) -> Line:
    if found := _HEAD.fullmatch(line):
        return Part(f"{found[1]}{found[2] or ''}", _STYLES[found[1]]), Part(found[3], "bold")
    if found := _CARETS.fullmatch(line):
        return Part(found[1], "blue"), Part(found[2], "bold red")
    if found := _EXCERPT.fullmatch(line):
        return Part(found[1], "blue"), Part(found[2])
    return (Part(line),)
