"""What a file of this folder knows of its library. Each is a module with these functions."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

from torch import Tensor, nn

from composer.errors import Diagnostic, UnavailableError
from composer.spec.model import InputSpec
from composer.spec.model_source import ModelSource

_FILES = {
    "timm": "from_timm",
    "torchvision": "from_torchvision",
    "transformers": "from_transformers",
    "smp": "from_smp",
    "python": "from_python",
    "file": "from_file",
}


# The names that factories have for the channels and the size of an image.
CHANNELS = ("in_chans", "in_channels", "num_channels")
SIZES = ("img_size", "image_size", "input_size")


@dataclass(frozen=True)
class Keywords:
    """The arguments that a factory takes, and whether it may take `more` than its signature says."""

    names: tuple[str, ...]
    more: bool = False


class Library(Protocol):
    """A file of this folder.

    PACKAGE, EXTRA  the package that must be installed, and composer's extra that installs it
    CLASSES         the name that the number of classes has there
    """

    PACKAGE: str
    EXTRA: str
    CLASSES: str

    @staticmethod
    def check(source: ModelSource) -> Iterator[Diagnostic]:
        """The problems of the model's name."""

    @staticmethod
    def num_classes(source: ModelSource) -> int | None:
        """The number of classes that the model has by itself; None if it has none, or they cannot be set."""

    @staticmethod
    def own_inputs(source: ModelSource) -> dict[str, InputSpec]:
        """The inputs that the model has by itself, and how images are prepared as far as the library says it."""

    @staticmethod
    def takes(source: ModelSource) -> Keywords:
        """What `args` may have."""

    @staticmethod
    def takes_vars(source: ModelSource) -> Keywords:
        """What vars may have, `num_classes` left out."""

    @staticmethod
    def more_problems(source: ModelSource) -> Iterator[Diagnostic]:
        """Problems of arguments that only this library knows."""

    @staticmethod
    def sized(source: ModelSource) -> dict[str, Any]:
        """The arguments that the shapes of the inputs mean, as far as they differ from the model's own."""

    @staticmethod
    def misfit(source: ModelSource) -> str:
        """Why the model cannot have images of this size; empty if the library does not say so."""

    @staticmethod
    def call(source: ModelSource, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and named arguments with which the model takes the tensors of its inputs."""

    @staticmethod
    def make(source: ModelSource, given: Mapping[str, Any]) -> nn.Module:
        """The model. `given` are the arguments that come from vars and inputs."""


def library_of(source: ModelSource) -> Library:
    """The library of a model. Raises UnavailableError if it is not installed."""
    found: Any = importlib.import_module(f"composer.sources.{_FILES[source.library]}")
    if found.PACKAGE:
        _check_installed(found.PACKAGE, found.EXTRA, source)
    return found


def package(name: str) -> Any:
    """A package, imported, without its types: not all have some."""
    return importlib.import_module(name)


def _check_installed(package: str, extra: str, source: ModelSource) -> None:
    """Raises UnavailableError with composer's extra that installs a package."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        text = f"{source.words} needs the package `{package}`"
        help = (f"pip install 'attention-composer[{extra}]'",)
        raise UnavailableError(source.name_origin.problem("extra", text, "an extra of composer", help)) from error


def signature_of(*functions: Callable[..., Any]) -> Keywords:
    """The arguments that can be given to these functions by name, together."""
    found: dict[str, None] = {}
    more = False
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                more = True
            elif parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD) and name != "self":
                found[name] = None
    return Keywords(tuple(found), more)


def positional(source: ModelSource, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A call with the tensors in their order."""
    return tuple(tensors), {}


def fits(source: ModelSource) -> str:
    """The `misfit` of a library that leaves it to the model."""
    return ""


def nothing_more(source: ModelSource) -> Iterator[Diagnostic]:
    """The `more_problems` of a library that has none."""
    yield from ()


def changed_sizes(
    source: ModelSource,
    known: Iterable[str],
    as_written: Callable[[list[int]], Any],
    channels: Iterable[str] = CHANNELS,
    sizes: Iterable[str] = SIZES,
) -> dict[str, Any]:
    """The arguments for the image's channels and size, as far as they differ from the model's own.

    known            names of the arguments that the factory takes
    as_written       height and width as the factory takes them
    channels, sizes  names that the two may have there
    """
    changed = image_shape(source)
    if changed is None:
        return {}
    (number, *size), (own_number, *own_size) = changed
    names = set(known)
    found: dict[str, Any] = {name: number for name in channels if name in names} if number != own_number else {}
    if size != own_size:
        found |= {name: as_written(size) for name in sizes if name in names}
    return found


def without(names: Iterable[str], left: Iterable[str]) -> tuple[str, ...]:
    """The names without some, in their order."""
    unwanted = set(left)
    return tuple(name for name in names if name not in unwanted)


def is_length(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number from 1 on."""
    return type(value) is int and value > 0


def sides_of(value: Any) -> tuple[int, int] | None:
    """Height and width that an argument says, as one number or as two; None for other values."""
    both = [value, value] if is_length(value) else list(value) if isinstance(value, list | tuple) else []
    return (both[0], both[1]) if len(both) == 2 and all(map(is_length, both)) else None


def image_shape(source: ModelSource) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The shape of the only image, and the model's own; None if they are the same or not single images c h w."""
    own = [tuple(one.shape) for one in source.own_inputs.values()]
    shapes = list(source.shapes.values())
    if len(own) != 1 or len(shapes) != 1 or len(shapes[0]) != 3 or shapes == own:
        return None
    return shapes[0], tuple(map(int, own[0]))
