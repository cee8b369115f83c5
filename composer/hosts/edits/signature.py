"""The arguments of a forward, as the text of another forward that takes the same."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import FunctionType
from typing import Any

from torch import nn

_KINDS = inspect.Parameter


def parameters_of(forward: Any) -> list[inspect.Parameter]:
    """The parameters of a forward behind `self`, as it is called: a decorator's own, not those it wraps."""
    if isinstance(forward, FunctionType):
        # Without what it says of itself: a decorator shows the parameters of what it wraps.
        bare = FunctionType(forward.__code__, forward.__globals__, "", forward.__defaults__, forward.__closure__)
        bare.__kwdefaults__ = forward.__kwdefaults__
        forward = bare
    return list(inspect.signature(forward).parameters.values())[1:]


def wrapped_parameters_of(made: type[nn.Module]) -> list[inspect.Parameter]:
    """The parameters of a class's forward behind `self`, without decorators."""
    return list(inspect.signature(made.forward).parameters.values())[1:]


def declared(parameters: Sequence[inspect.Parameter]) -> str:
    """The parameters in a `def`, without `self`. Defaults are the words of `default`."""
    parts: list[str] = []
    for number, one in enumerate(parameters):
        if one.kind is _KINDS.KEYWORD_ONLY and not any(
            other.kind in (_KINDS.KEYWORD_ONLY, _KINDS.VAR_POSITIONAL) for other in parameters[:number]
        ):
            parts.append("*")
        stars = _stars(one)
        parts.append(f"{stars}{one.name}" + ("" if one.default is one.empty else f"={default(one)}"))
        following = parameters[number + 1 :]
        if one.kind is _KINDS.POSITIONAL_ONLY and not (following and following[0].kind is one.kind):
            parts.append("/")
    return ", ".join(["self", *parts])


def _stars(one: inspect.Parameter) -> str:
    return "*" if one.kind is _KINDS.VAR_POSITIONAL else "**" if one.kind is _KINDS.VAR_KEYWORD else ""


def default(one: inspect.Parameter) -> str:
    """The default of a parameter: a literal, or a look-up of what the host's own forward has."""
    if is_literal(one.default):
        return repr(one.default)
    return f"signature(Host.forward).parameters[{one.name!r}].default"


def passed(parameters: Sequence[inspect.Parameter]) -> str:
    """The same parameters handed on in a call."""
    words = []
    for one in parameters:
        stars = _stars(one)
        words.append(f"{one.name}={one.name}" if one.kind is _KINDS.KEYWORD_ONLY else f"{stars}{one.name}")
    return ", ".join(["self", *words])


def is_literal(value: Any) -> bool:
    """Whether a value reads the same as Python text: None, a truth value, a finite number, a string, or a tuple."""
    if isinstance(value, tuple):
        return type(value) is tuple and all(map(is_literal, value))
    if isinstance(value, float):
        return type(value) is float and value - value == 0
    return value is None or type(value) in (bool, int, str)
