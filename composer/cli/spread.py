"""Options that several verbs share as one value: a dataclass whose fields are the options."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a dataclass replaced by its fields, as Typer is to see them.

    The command itself gets the dataclass, filled from what was given for its fields.
    """
    signature = inspect.signature(command, eval_str=True)
    groups = {one.name: one.annotation for one in signature.parameters.values() if _is_group(one)}
    parameters = [part for one in signature.parameters.values() for part in (_fields(one) if _is_group(one) else [one])]

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
        command(**given)

    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    called.__signature__ = signature.replace(parameters=keywords)  # type: ignore[attr-defined]
    # Typer asks for the hints beside the signature.
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def _is_group(parameter: inspect.Parameter) -> bool:
    return dataclasses.is_dataclass(parameter.annotation)


def _fields(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """What the dataclass of a parameter takes."""
    return list(inspect.signature(parameter.annotation, eval_str=True).parameters.values())
