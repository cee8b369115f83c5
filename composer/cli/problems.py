"""Shows errors: their usual text, in colour on a terminal."""

from __future__ import annotations

import re

from composer.cli.screen import word_lines
from composer.errors import ComposerError
from composer.lines import Line, Part

_HEAD = re.compile(r"(error|warning)(:.*)")
_EXCERPT = re.compile(r"( *[0-9]* (?:\||-->|=))(.*)")
_CARETS = re.compile(r"( +\| +)(\^+.*)")
_STYLES = {"error": "bold red", "warning": "bold yellow"}


def show(error: ComposerError) -> None:
    """Print an error on stderr, in colour on a terminal."""
    word_lines(map(_styled, str(error).split("\n")))


def to_json(error: ComposerError) -> dict[str, object]:
    """An error as plain JSON values."""
    problems = [problem.to_json() for problem in error.diagnostics]
    return {"ok": False, "errors": problems, "omitted": error.omitted}


def _styled(line: str) -> Line:
    if found := _HEAD.fullmatch(line):
        return Part(found[1], _STYLES[found[1]]), Part(found[2], "bold")
    if found := _CARETS.fullmatch(line):
        return Part(found[1], "blue"), Part(found[2], "bold red")
    if found := _EXCERPT.fullmatch(line):
        return Part(found[1], "blue"), Part(found[2])
    return (Part(line),)
