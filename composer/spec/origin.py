"""Values that remember the file and line they came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from composer.errors import Diagnostic, Location, Mistakes
from composer.spec.document import Document, Keys
from composer.spec.evaluate import show, size
from composer.spec.expression import is_dynamic, parse_condition, parse_template
from composer.spec.functions import MAX_LIST
from composer.spec.scalar import locate
from composer.spec.tokens import ExpressionError

T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """A place in a document: the path to a value."""

    document: Document
    path: Keys = ()

    def __truediv__(self, step: str | int) -> Origin:
        return Origin(self.document, (*self.path, step))

    @property
    def dotted(self) -> str:
        """The path as people write it."""
        return ".".join(map(str, self.path))

    @property
    def written(self) -> Origin:
        """This place without path steps that the text does not spell out, because it uses a short form."""
        value, path = self.document.root, list[str | int]()
        for step in self.path:
            child = value.child(step)
            if child is not None:
                value = child
                path.append(step)
        return Origin(self.document, tuple(path))

    def location(self, key: bool = False) -> Location | None:
        """The location of the value (or its key), or of the nearest enclosing value whose location is known."""
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

    def problem_within(
        self,
        code: str,
        message: str,
        offset: int,
        length: int,
        label: str = "",
        help: tuple[str, ...] = (),
        path: str | None = None,
    ) -> Diagnostic:
        """A diagnostic that points at a part of the string written here."""
        value = self.document.nearest(self.path)
        location = value.location
        if location is not None and isinstance(value.data, str):
            location = locate(location, value.data, offset, length)
        return Diagnostic(code, message, location, self.dotted if path is None else path, label, help)

    def expression_problem(self, error: ExpressionError, path: str | None = None) -> Diagnostic:
        """A diagnostic that points into an expression written here."""
        help = (error.help,) if error.help else ()
        return self.problem_within("expression", str(error), error.offset, error.length, help=help, path=path)


def walk_strings(value: Any, origin: Origin) -> Iterator[tuple[str, Origin]]:
    """Every string inside a plain value, with its place."""
    if isinstance(value, str):
        yield value, origin
    elif isinstance(value, dict | list):
        for step, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from walk_strings(child, origin / step)


def evaluate(value: Any, names: Mapping[str, Any], origin: Origin, path: str | None = None) -> Any:
    """A plain value with every expression in it replaced by its result. Raises Mistakes."""
    if isinstance(value, str):
        return _run(lambda: parse_template(value).evaluate(names), origin, path) if is_dynamic(value) else value
    if not _holds_expressions(value):
        return value
    result = _replaced(value, names, origin, path)
    if size(result, MAX_LIST) > MAX_LIST:
        text = f"this holds more than {MAX_LIST:,} values, or lists nested too deep"
        raise Mistakes(origin.problem("expression", text, path=path))
    return result


def _holds_expressions(value: Any) -> bool:
    if isinstance(value, str):
        return is_dynamic(value)
    return isinstance(value, list | dict) and any(map(_holds_expressions, _children(value)))


def _children(value: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _replaced(value: Any, names: Mapping[str, Any], origin: Origin, path: str | None) -> Any:
    if isinstance(value, list):
        return [_item(child, names, origin, index, path) for index, child in enumerate(value)]
    if isinstance(value, dict):
        return {name: _item(child, names, origin, name, path) for name, child in value.items()}
    return evaluate(value, names, origin, path)


def _item(value: Any, names: Mapping[str, Any], origin: Origin, step: str | int, path: str | None) -> Any:
    return _replaced(value, names, origin / step, path) if _holds_expressions(value) else value


def evaluate_condition(text: str, names: Mapping[str, Any], origin: Origin, path: str | None = None) -> bool:
    """The result, True or False, of a bare expression (a rule's `where`). Raises Mistakes."""
    result = _run(lambda: _condition(text, names), origin, path)
    if not isinstance(result, bool) and result is not None:
        message = f"`{text}` is {show(result)}, not a condition"
        raise Mistakes(origin.problem("expression", message, "true or false", path=path))
    return bool(result)


def _condition(text: str, names: Mapping[str, Any]) -> Any:
    start, expression = parse_condition(text)
    try:
        return expression.evaluate(names)
    except ExpressionError as error:
        raise error.shifted(start) from error


def _run(function: Callable[[], T], origin: Origin, path: str | None) -> T:
    try:
        return function()
    except ExpressionError as error:
        raise Mistakes(origin.expression_problem(error, path)) from error
