"""Models that people's own code makes. Running it must be allowed."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from composer.errors import Diagnostic, did_you_mean
from composer.foreign import is_error, named
from composer.siblings import importable
from composer.sources.library import (
    CHANNELS,
    SIZES,
    Keywords,
    changed_sizes,
    fits,
    is_length,
    nothing_more,
    positional,
    sides_of,
    signature_of,
)
from composer.spec.model import InputSpec
from composer.spec.model_source import ModelSource

PACKAGE, EXTRA, CLASSES = "", "", "num_classes"
call, misfit, more_problems = positional, fits, nothing_more


def check(source: ModelSource) -> Iterator[Diagnostic]:
    """The problems of the factory's name; imports its module, which runs it."""
    module, _, path = source.name.partition(":")
    here = source.name_origin
    try:
        found: Any = _imported(module, source)
    except BaseException as error:
        if not is_error(error):
            raise
        help = ("its module must be installed, or in the folder of the spec or the working folder",)
        yield here.problem("model", f"cannot import `{module}`: {named(error)}", "`package.module:factory`", help)
        return
    for step in path.split("."):
        if not hasattr(found, step):
            known = [name for name in vars(found) if not name.startswith("_")]
            yield here.problem("model", f"`{module}` has no `{path}`", "a factory", did_you_mean(step, known))
            return
        found = getattr(found, step)
    if isinstance(found, nn.Module) or not callable(found):
        text = f"`{source.name}` is a {type(found).__name__}, which makes no module"
        yield here.problem("model", text, "a function or class that makes an nn.Module")


def num_classes(source: ModelSource) -> int | None:
    """The default of the factory's `num_classes`, if it is a number."""
    found = _default(source, CLASSES)
    return found if type(found) is int else None


def own_inputs(source: ModelSource) -> dict[str, InputSpec]:
    """An image 3×224×224, or of the channels and the size that are the defaults of the factory's arguments."""
    channels = [_default(source, name) for name in CHANNELS]
    sizes = [_default(source, name) for name in SIZES]
    sides = next((found for one in sizes if (found := sides_of(one))), (224, 224))
    return {"input": InputSpec(shape=[next(filter(is_length, channels), 3), *sides])}


def takes(source: ModelSource) -> Keywords:
    """The arguments of the factory."""
    return signature_of(_factory(source))


def takes_vars(source: ModelSource) -> Keywords:
    """The same arguments."""
    return takes(source)


def sized(source: ModelSource) -> dict[str, Any]:
    """The channels and the size of the image under the names that the factory has for them."""
    return changed_sizes(source, takes(source).names, lambda size: size[0] if size[0] == size[1] else tuple(size))


def make(source: ModelSource, given: Mapping[str, Any]) -> nn.Module:
    """What the factory gives."""
    with _beside(source):
        model: nn.Module = _factory(source)(**{**source.args, **given})
    return model


def _factory(source: ModelSource) -> Callable[..., Any]:
    module, _, path = source.name.partition(":")
    found: Any = _imported(module, source)
    for step in path.split("."):
        found = getattr(found, step)
    return found


def _default(source: ModelSource, name: str) -> Any:
    """The value that a spec gives to an argument, or else its default; None without any."""
    parameter = inspect.signature(_factory(source)).parameters.get(name)
    default = None if parameter is None or parameter.default is parameter.empty else parameter.default
    return source.args.get(name, default)


def _imported(module: str, source: ModelSource) -> Any:
    """The module: installed, or beside the file that names the factory, or in the working folder."""
    with _beside(source):
        return importlib.import_module(module)


@contextlib.contextmanager
def _beside(source: ModelSource) -> Iterator[None]:
    """In this context, modules in the folder of the spec and in the working folder can be imported."""
    name = source.origin.document.source.name
    folder = Path(name).resolve().parent if name.endswith((".yaml", ".yml")) else Path.cwd()
    with importable(Path.cwd()), importable(folder):
        yield
