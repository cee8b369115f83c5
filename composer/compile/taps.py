"""Takes what modules inside a model give, while the model runs as it is.

Generated classes call these functions by name: never rename or move them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from composer.compile.host_classes import hosted_class, text_of
from composer.dag.host import Where

# Path of a module, the number of its call, and where the tensor stands in what it returns; with an empty path, where it
# stands among the arguments of the whole model.
Tap = tuple[str, int, Where]

# The class of a module that is tapped: what it returns is noted while somebody asks.
TEXT = """from composer.compile.taps import noted


class Tapped(Host):
    def forward(self, *args, **kwargs):
        return noted(self, Host.forward(self, *args, **kwargs))
"""


def noted(module: nn.Module, result: Any) -> Any:
    """The result of a module, noted if `tapped` asked for it."""
    found = getattr(module, "taps", None)
    if found is not None:
        found.append(result)
    return result


def tapped(
    model: nn.Module, run: Callable[..., Any], taps: Sequence[Tap], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[Any]:
    """What modules of a model give in one call of it, one value per tap. Their classes are made by TEXT.

    run  the model's own forward
    """
    modules = [model.get_submodule(path) if path else model for path, _, _ in taps]
    for module in modules:
        # Somebody may have put another module there since, such as a new classifier.
        if module is not model and text_of(type(module)) != TEXT:
            module.__class__ = hosted_class(type(module), TEXT)
        module.taps = []  # type: ignore[assignment]
    run(model, *args, **kwargs)
    found = []
    for module, (path, number, where) in zip(modules, taps, strict=True):
        if not path:
            value: Any = _argument(model, where, args, kwargs)
            found.append(value)
            continue
        value = module.taps[number]  # type: ignore[index]
        for step in where:
            value = value[step]
        found.append(value)
    for module in modules:
        # None, not deleted: compilers follow the one and not the other.
        module.taps = None  # type: ignore[assignment]
    return found


def _argument(model: nn.Module, where: Where, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An argument of the model's call, or a part of one."""
    name, *rest = where
    value = kwargs[str(name)] if name in kwargs else args[_position(type(model), str(name))]
    for step in rest:
        value = value[step]
    return value


def _position(made: type[nn.Module], name: str) -> int:
    names = list(inspect.signature(made.forward).parameters)[1:]
    return names.index(name)
