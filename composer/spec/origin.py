"""Values that remember which line of which file they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from composer.errors import Diagnostic, Location
from composer.spec.expression import ExpressionError, is_dynamic, parse, parse_template
from composer.spec.yaml import Document

Path = tuple[str | int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """A place in a document: a value by its path."""

    document: Document
    path: Path = ()

    def __truediv__(self, step: str | int) -> Origin:
        return replace(self, path=(*self.path, step))

    @property
    def dotted(self) -> str:
        """The path as people write it."""
        return ".".join(map(str, self.path))

    def location(self, key: bool = False) -> Location | None:
        """Where the value (or its key) stands, or the nearest enclosing value that is known."""
        return self.document.location(self.path, key)

    def problem(
        self,
        code: str,
        message: str,
        label: str = "",
        help: tuple[str, ...] = (),
        *,
        key: bool = False,
        path: str | None = None,
    ) -> Diagnostic:
        """A diagnostic that points here."""
        return Diagnostic(code, message, self.location(key), self.dotted if path is None else path, label, help)

    def expression_problem(self, error: ExpressionError, path: str | None = None) -> Diagnostic:
        """A diagnostic that points into an expression written here."""
        location = self.location()
        if location is not None:
            text = location.source.line(location.line)
            # A quoted scalar's first character is its quote.
            quoted = text[location.column - 1 : location.column] in ("'", '"')
            column = location.column + error.offset + quoted
            if column < location.end_column:
                location = replace(location, column=column, end_column=column + max(1, error.length))
        where = self.dotted if path is None else path
        return Diagnostic("expression", str(error), location, where, help=tuple(filter(None, [error.help])))


def walk_strings(value: Any, origin: Origin) -> list[tuple[str, Origin]]:
    """Every string inside a plain value, with its place."""
    if isinstance(value, str):
        return [(value, origin)]
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for step, child in steps for found in walk_strings(child, origin / step)]


class EvaluationError(Exception):
    """An expression failed; carries the diagnostic."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def evaluate(value: Any, names: Mapping[str, Any], origin: Origin, path: str | None = None) -> Any:
    """A plain value with every expression in it replaced by its result. Raises EvaluationError."""
    if isinstance(value, str):
        return _run(lambda: parse_template(value).evaluate(names), origin, path) if is_dynamic(value) else value
    if isinstance(value, list):
        return [evaluate(child, names, origin / index, path) for index, child in enumerate(value)]
    if isinstance(value, dict):
        return {name: evaluate(child, names, origin / name, path) for name, child in value.items()}
    return value


def condition_text(text: str) -> str:
    """A bare expression, also where it was written as `${expression}`."""
    return text[2:-1] if text.startswith("${") and text.endswith("}") else text


def evaluate_condition(text: str, names: Mapping[str, Any], origin: Origin, path: str | None = None) -> bool:
    """A bare expression (a rule's `where`) that must come out true or false. Raises EvaluationError."""
    result = _run(lambda: parse(condition_text(text)).evaluate(names), origin, path)
    if not isinstance(result, bool) and result is not None:
        message = f"`{text}` is {result!r}, not a condition"
        raise EvaluationError(origin.problem("expression", message, "true or false", path=path))
    return bool(result)


def _run(function: Callable[[], T], origin: Origin, path: str | None) -> T:
    try:
        return function()
    except ExpressionError as error:
        raise EvaluationError(origin.expression_problem(error, path)) from error
