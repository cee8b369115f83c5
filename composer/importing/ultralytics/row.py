"""A row of a model file, `[from, repeats, module, args]`, read from its text."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from composer.errors import Diagnostic
from composer.spec.kind import found
from composer.spec.origin import Origin

Report = Callable[[Diagnostic], None]
_FORM = "[from, repeats, module, args]"


@dataclass(frozen=True)
class Row:
    """A row as it is written.

    number     counted from 0, over backbone and head
    part       `backbone` or `head`
    sources    the rows that it reads; -1 is the row before it
    several    whether it writes a list of sources
    arguments  with `nc` and texts such as `None` and `"2"` replaced by what they mean
    text       the row in one line
    """

    number: int
    part: str
    sources: tuple[int, ...]
    several: bool
    repeats: int
    module: str
    arguments: tuple[Any, ...]
    origin: Origin
    text: str

    def problem_at(
        self, at: int | tuple[int, ...], code: str, message: str, label: str = "", help: tuple[str, ...] = ()
    ) -> Diagnostic:
        """A diagnostic that points at an entry of the row: 0 is `from`, (3, 1) the second argument."""
        origin = self.origin
        for step in at if isinstance(at, tuple) else (at,):
            origin /= step
        return origin.problem(code, message, label, help, path=f"row {self.number}")


def read_row(number: int, part: str, value: Any, origin: Origin, classes: int, report: Report) -> Row | None:
    """A row; None, with every problem reported, if it is none."""
    if not isinstance(value, list) or len(value) != 4:
        length = f"a list of {len(value)}" if isinstance(value, list) else found(value)
        report(origin.problem("import-row", f"row {number} is {length}", _FORM, path=f"row {number}"))
        return None
    sources, repeats, module, arguments = value
    several = isinstance(sources, list)
    kinds = (
        (several and sources and all(map(_is_index, sources))) or _is_index(sources),
        _is_index(repeats) and repeats >= 1,
        isinstance(module, str),
        isinstance(arguments, list),
    )
    words = (
        "the number of a row before this one, -1 for the last, or a list of numbers",
        "a whole number from 1 on",
        "the name of a module, such as `Conv`",
        "a list, `[64, 3, 2]`",
    )
    for index, (fits, name) in enumerate(zip(kinds, ("from", "repeats", "module", "args"), strict=True)):
        if not fits:
            text = f"`{name}` of row {number} is {found(value[index])}"
            report((origin / index).problem("import-row", text, words[index], path=f"row {number}"))
    if not all(kinds):
        return None
    meant = tuple(_meant(one, classes) for one in arguments)
    reads = tuple(sources) if several else (sources,)
    return Row(number, part, reads, several, repeats, module, meant, origin, _written(value))


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _meant(value: Any, classes: int) -> Any:
    """What an argument means: `nc` is the number of classes, and Python's literals may be written as text."""
    if value == "nc":
        return classes
    if isinstance(value, list):
        return [_meant(one, classes) for one in value]
    if not isinstance(value, str):
        return value
    try:
        # Literals alone are read; nothing is evaluated.
        read = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
    return list(read) if isinstance(read, tuple) else read


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return str(value)
