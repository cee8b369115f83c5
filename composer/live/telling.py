"""Problems as an editor shows them: each at a stretch of the text, in a few lines."""

from __future__ import annotations

from composer.errors import Diagnostic, Location
from composer.live.reading import Reading
from composer.spec.document import Value
from composer.visible import visible_lines


def place(reading: Reading, problem: Diagnostic) -> Location:
    """Where in the text a problem is shown.

    A problem of another file is shown where the text refers to that file; one without a place, at the nearest value
    that the text writes for its path, or else on the first line.
    """
    location = problem.location
    if location is not None and reading.is_here(location):
        return _wide(location)
    if reading.document is not None:
        root = reading.document.root
        steps = ["backbone"] if location is not None else problem.path.split(".")
        found = _nearest(root, steps)
        if found is not None:
            return _wide(found)
    return Location(reading.source, 1, 1, len(reading.source.line(1)) + 1)


def text(reading: Reading, problem: Diagnostic) -> str:
    """What an editor says of a problem: what was found, what was expected, what to do."""
    lines = [problem.message]
    if problem.location is not None and not reading.is_here(problem.location):
        lines.append(f"at {problem.location}")
    if problem.label:
        # As under a caret, "not an option" speaks of the word that is marked.
        lines.append(problem.label if problem.label.startswith("not ") else f"expected: {problem.label}")
    lines += [f"help: {line}" for line in problem.help]
    return visible_lines("\n".join(lines))


def _nearest(value: Value, steps: list[str]) -> Location | None:
    """The key, or the item, of the innermost value along a path; None if not even the first step is written."""
    found: Location | None = None
    for step in steps:
        child = value.child(int(step) if step.isdecimal() and isinstance(value.data, list) else step)
        if child is None:
            break
        value, found = child, child.key_location or child.location
    return found


def _wide(location: Location) -> Location:
    """A stretch of at least one character, so that it shows."""
    if location.end_column > location.column:
        return location
    return Location(location.source, location.line, location.column, location.column + 1)
