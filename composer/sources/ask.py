"""What a library says of one of its models."""

from __future__ import annotations

from composer.errors import SpecError
from composer.sources.library import library_of
from composer.spec.model import InputSpec
from composer.spec.model_source import PYTHON, ModelSource


def check_name(source: ModelSource, *, allow_code: bool = False) -> None:
    """Check that the library has the model. Nothing of people's own code runs unless it is allowed.

    Raises SpecError; UnavailableError if the library is not installed.
    """
    if source.library == PYTHON and not allow_code:
        text = f"`{source.name}` is code, which a spec does not run by itself"
        help = ("allow it with --allow-code (in Python, allow_code=True), for a spec that you trust",)
        raise SpecError(source.name_origin.problem("source-code", text, "not allowed", help))
    SpecError.check(library_of(source).check(source))


def num_classes(source: ModelSource) -> int | None:
    """The number of classes that the model has by itself; None if it has none, or they cannot be set."""
    return library_of(source).num_classes(source)


def own_inputs(source: ModelSource) -> dict[str, InputSpec]:
    """The inputs that the model has by itself, with the preparation of images as far as its library says it."""
    return library_of(source).own_inputs(source)
