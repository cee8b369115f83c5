"""Where a registered class or function is defined, and what its signature says."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, get_args

from composer.errors import Diagnostic, Location, PluginError, Source
from composer.registry.entry import Plugin
from composer.registry.state import state


def made(returns: Any) -> type | None:
    """The return annotation, if it is an nn.Module class, or the first of several such classes (`nn.BatchNorm2d |
    nn.BatchNorm1d`); None otherwise. Does not import torch."""
    classes = get_args(returns) if isinstance(returns, UnionType) else (returns,)
    if all(isinstance(one, type) and hasattr(one, "register_forward_pre_hook") for one in classes):
        first: type = classes[0]
        return first
    return None


def forward_tensors(module: type) -> tuple[Mapping[str, Any], bool]:
    """The tensors that a class's `forward` takes, name -> default, and whether it takes any number after them.

    Raises ValueError if the class has no `forward`.
    """
    forward = getattr(module, "forward", None)
    if forward is None:
        raise ValueError("the class has no `forward`; is it an nn.Module?")
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    variadic = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind in positional}, variadic


def arity(given: Mapping[str, Any], variadic: bool) -> tuple[int, int | None]:
    """Fewest and most tensors for parameters with these defaults; most is None if variadic."""
    required = sum(default is inspect.Parameter.empty for default in given.values())
    return required, None if variadic else len(given)


def definition(factory: Callable[..., Any]) -> Location:
    """The file and line where a class or function is defined."""
    target = inspect.unwrap(factory)
    if is_own(target):
        return _quickly(target)
    try:
        # Reading sources goes through a cache that is not safe for threads.
        with state.lock:
            file = inspect.getsourcefile(target) or "<unknown>"
            line = inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        code = getattr(getattr(target, "__init__", target), "__code__", None)
        file, line = (code.co_filename, code.co_firstlineno) if code else ("<unknown>", 1)
    return Location(Source(file), line, 1, 2)


def is_own(factory: Callable[..., Any]) -> bool:
    """Whether composer itself defines a class or function."""
    return factory.__module__.partition(".")[0] == "composer"


def _quickly(factory: Callable[..., Any]) -> Location:
    """The definition of a class or function at the left margin. `inspect` parses the file anew for every class."""
    file = sys.modules[factory.__module__].__file__ or "<unknown>"
    if not isinstance(factory, type):
        return Location(Source(file), factory.__code__.co_firstlineno, 1, 2)
    lines = linecache.getlines(file)
    start = re.compile(rf"class {factory.__name__}\b")
    line = next((number for number, text in enumerate(lines) if start.match(text)), 0)
    # Decorators stand above it, and an empty line above them.
    while line and lines[line - 1].strip():
        line -= 1
    return Location(Source(file), line + 1, 1, 2)


def misuse(where: Location, name: str, problem: str, expected: str) -> PluginError:
    return PluginError(Diagnostic("plugin", f"cannot register `{name}`: {problem}", where, label=expected))


def identity(factory: Callable[..., Any]) -> tuple[str, str]:
    return factory.__module__, factory.__qualname__


def plugin_of(factory: Callable[..., Any]) -> Plugin:
    if is_own(factory):
        return Plugin("composer")
    package = factory.__module__.partition(".")[0]
    return state.plugins.get(package, Plugin(package))
