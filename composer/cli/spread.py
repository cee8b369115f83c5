"""Groups of options that several verbs share: dataclasses whose fields are the options."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command, wrapped for Typer: each parameter that is a dataclass is replaced by parameters for its fields.

    The command itself gets the dataclass, filled from the values of its fields. A field may be a dataclass too.
    """
    signature = inspect.signature(command, eval_str=True)
    parameters = [part for one in signature.parameters.values() for part in _parts(one)]

    @functools.wraps(command)
    def called(**given: Any) -> None:
        command(**{one.name: _taken(one, given) for one in signature.parameters.values()})

    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    called.__signature__ = signature.replace(parameters=keywords)  # type: ignore[attr-defined]
    # Typer reads the annotations as well as the signature.
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def _parts(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """The parameter itself; or, for a dataclass, the parts of its fields."""
    if not _is_group(parameter):
        yield parameter
        return
    for field in _fields(parameter):
        yield from _parts(field)


def _taken(parameter: inspect.Parameter, given: Mapping[str, Any]) -> Any:
    """The value of a parameter, made from the given values of its parts."""
    if not _is_group(parameter):
        return given[parameter.name]
    return parameter.annotation(**{field.name: _taken(field, given) for field in _fields(parameter)})


def _is_group(parameter: inspect.Parameter) -> bool:
    return dataclasses.is_dataclass(parameter.annotation)


def _fields(parameter: inspect.Parameter) -> Iterable[inspect.Parameter]:
    return inspect.signature(parameter.annotation, eval_str=True).parameters.values()
