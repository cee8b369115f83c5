"""The arguments of a row, bound to the names of its module's arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.amounts import plural
from composer.importing.ultralytics.modules import REQUIRED, Argument
from composer.importing.ultralytics.row import Report, Row
from composer.spec.kind import found


def bind(row: Row, arguments: Sequence[Argument], given: Sequence[Any], report: Report) -> dict[str, Any] | None:
    """Name -> value of every argument; None, with every problem reported, if they do not fit.

    given  the values, which may be others than those that the row writes
    """
    least = sum(one.default is REQUIRED for one in arguments)
    if not least <= len(given) <= len(arguments):
        number = str(least) if least == len(arguments) else f"{least} to {len(arguments)}"
        text = f"`{row.module}` of row {row.number} has {plural(len(given), 'argument')}, and takes {number}"
        report(row.problem_at(3, "import-args", text, _signature(arguments)))
        return None
    sound = True
    for index, (argument, value) in enumerate(zip(arguments, given, strict=False)):
        if not argument.kind.takes(value):
            text = f"`{argument.name}` of `{row.module}` in row {row.number} is {found(value)}"
            help = (f"the arguments are {_signature(arguments)}",)
            report(row.problem_at((3, index), "import-args", text, argument.kind.words, help))
            sound = False
    values = {one.name: one.default for one in arguments}
    values |= {one.name: value for one, value in zip(arguments, given, strict=False)}
    return values if sound else None


def _signature(arguments: Sequence[Argument]) -> str:
    """The arguments as a row writes them, optional ones in parentheses."""
    names = (one.name if one.default is REQUIRED else f"({one.name})" for one in arguments)
    return f"[{', '.join(names)}]"
