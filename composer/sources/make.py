"""Makes a model: on meta, without memory, to be recorded; or with weights drawn from a seed."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from composer.errors import ComposerError, Diagnostic, GraphError
from composer.foreign import is_error, named
from composer.sources.drawn import seeded
from composer.sources.library import Library, image_shape, library_of
from composer.sources.offline import offline
from composer.spec.model_source import CLASSES, FILE, PYTHON, ModelSource

# What constructors raise that read values which tensors on meta do not have.
_NO_VALUES = RuntimeError


def make(source: ModelSource, *, seed: int | None = None) -> nn.Module:
    """The model that a library makes of a source.

    seed  draw weights on the CPU from this seed, in training mode; None: on the meta device, in eval mode. Where the
          default device is meta, nothing is drawn
    Raises GraphError with what the factory says, at the line of the argument that it names; UnavailableError if the
    library is not installed.
    """
    if source.library == FILE and seed is not None:
        raise GraphError(_graph_alone(source))
    library = library_of(source)
    given = arguments(source)
    training = seed is not None
    if seed is not None and torch.get_default_device().type != "meta":
        with seeded(seed):
            return _made(source, library, given).train()
    with seeded(0):
        try:
            with torch.device("meta"):
                return _made(source, library, given).train(training)
        except GraphError as error:
            # Some constructors compute their widths with tensors, such as torchvision's regnets.
            if not isinstance(error.__cause__, _NO_VALUES):
                raise
        return _made(source, library, given).to("meta").train(training)


def _graph_alone(source: ModelSource) -> Diagnostic:
    text = f"{source.words} is the graph of a network, and there is no module that could run"
    help = (
        "`graph`, `summary`, `sites` and `diff` read such a file; to run or to change the network, name the model "
        "that it was exported from",
    )
    return source.name_origin.problem("graph-file", text, "a model, not a file of its graph", help)


def arguments(source: ModelSource) -> dict[str, Any]:
    """The arguments of the factory that come from vars and inputs, under the factory's own names."""
    library = library_of(source)
    vars = {library.CLASSES if name == CLASSES else name: value for name, value in source.vars.items()}
    return {**vars, **(library.sized(source) if image_shape(source) is not None else {})}


def _made(source: ModelSource, library: Library, given: dict[str, Any]) -> nn.Module:
    try:
        with quiet(), contextlib.nullcontext() if source.library == PYTHON else offline():
            model = library.make(source, given)
    except ComposerError:
        raise
    except BaseException as error:
        if not is_error(error):
            raise
        raise GraphError(_failed(source, given, error)) from error
    if not isinstance(model, nn.Module):
        text = f"{source.words} gives an object of type `{type(model).__name__}`"
        raise GraphError(source.name_origin.problem("model", text, "an nn.Module"))
    return model


def _failed(source: ModelSource, given: dict[str, Any], error: BaseException) -> Any:
    said = named(error)
    written = {**source.args, **source.config}
    mentioned = (word for word in re.findall(r"\w+", said) if word in written)
    here = source.origin_of(next(mentioned, ""))
    text = f"{source.words} cannot be made: {said}"
    values = ", ".join(f"`{name}={value!r}`" for name, value in given.items())
    help = (f"from vars and inputs it is given {values}",) if values else ()
    return here.problem("model", text, "what its factory takes" if written else "", help)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the libraries' warnings, which are about their own defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
