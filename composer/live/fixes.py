"""Changes of a text that mend a problem: each was tried, and the problem is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from composer.errors import Diagnostic, Location, meant, typed
from composer.live.reading import Reader, Reading


@dataclass(frozen=True)
class Fix:
    """A change of a text: what it does in a few words, the stretch that it replaces, and by what."""

    title: str
    location: Location
    text: str
    problem: Diagnostic


def fixes(reading: Reading, problem: Diagnostic, reader: Reader) -> list[Fix]:
    """The changes that mend a problem of a text, without making another at the same place."""
    found = []
    for fix in _proposed(reading, problem):
        after = reader.compose(reader.read(changed(reading.source.text, fix), reading.path, reading.source.name))
        if not any(_is_same(one, problem) for one in after.problems) and _parts(after) >= _parts(reading):
            found.append(fix)
    return found


def changed(text: str, fix: Fix) -> str:
    """The text after a change."""
    source, line = fix.location.source, fix.location.line
    start, end = source.index(line, fix.location.column), source.index(line, fix.location.end_column)
    return text[:start] + fix.text + text[end:]


def _parts(reading: Reading) -> int:
    """How far a text came: a change must not hide a problem behind an earlier one."""
    return (reading.document is not None) + (reading.spec is not None) + (reading.graph is not None)


def _is_same(one: Diagnostic, problem: Diagnostic) -> bool:
    here, there = one.location, problem.location
    same_line = here is not None and there is not None and here.line == there.line
    return one.code == problem.code and same_line and one.message == problem.message


def _proposed(reading: Reading, problem: Diagnostic) -> Iterator[Fix]:
    location = problem.location
    if location is None or not reading.is_here(location):
        return
    written = location.source.line(location.line)[location.column - 1 : location.end_column - 1]
    if (name := meant(problem)) is not None:
        place, old = _unquoted(location, written)
        yield Fix(f"write `{name}` in place of `{old}`", place, name, problem)
    if any(f"`{written}` is " in line for line in problem.help) and (advice := typed(written)):
        plain = advice.rpartition("write `")[2].removesuffix("`")
        yield Fix(f"write `{plain}` in place of `{written}`", location, plain, problem)
    if problem.code == "yaml-tab":
        yield Fix("write spaces in place of the tab", location, "  ", problem)


def _unquoted(location: Location, written: str) -> tuple[Location, str]:
    """The stretch inside the quotes, if it has some."""
    if len(written) > 1 and written[0] == written[-1] and written[0] in "'\"":
        return replace(location, column=location.column + 1, end_column=location.end_column - 1), written[1:-1]
    return location, written
