"""Typed options: what a spec may set, read from a signature. The type hints are the schema."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd number")
    return value


PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# For a convolution: a number, or a number for rows and a number for columns.
Size = PositiveInt | tuple[PositiveInt, PositiveInt]
Padding = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt]
# The same for frames, rows and columns.
Size3d = PositiveInt | tuple[PositiveInt, PositiveInt, PositiveInt]
Padding3d = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
# A number for all axes of positions, or a number for each.
Lengths = Size3d | tuple[PositiveInt, PositiveInt] | tuple[PositiveInt]
Paddings = Padding3d | tuple[NonNegativeInt, NonNegativeInt] | tuple[NonNegativeInt]
Probability = Annotated[float, Field(ge=0, le=1)]
# What JSON Schema says of an even number, and of an expression: a string with a dollar sign, which any option may be.
EVEN = {"multipleOf": 2}
EXPRESSION = {"type": "string", "pattern": r"\$"}
OddInt = Annotated[int, Field(gt=0, json_schema_extra={"not": EVEN}), AfterValidator(_odd)]

# Strict: a bool is not an int, "3" is not 3, and an unknown option is an error.
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True, protected_namespaces=())


@dataclass(frozen=True)
class Signature:
    """A callable's parameters, split at the `*`: the place gives those before it, a spec may set those after it."""

    given: Mapping[str, Any]
    hints: Mapping[str, Any]
    variadic: bool
    options: type[BaseModel]
    returns: Any = None


def read_signature(target: Callable[..., Any], name: str) -> Signature:
    """The signature of a class's `__init__` or of a function, split at the `*`.

    `given` maps each parameter before `*` to its default (`inspect.Parameter.empty` without a default). Raises
    ValueError for `**kwargs`, a missing type hint, or a type that YAML cannot write.
    """
    function = _initialiser(target) if isinstance(target, type) else target
    parameters = list(inspect.signature(function).parameters.values()) if function is not None else []
    if isinstance(target, type):
        parameters = parameters[1:]
    try:
        hints = get_type_hints(function, include_extras=True) if function is not None else {}
    except Exception as error:
        raise ValueError(f"a type hint cannot be read: {error}") from error

    given: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    variadic = False
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            raise ValueError(f"`**{parameter.name}` would swallow misspelt options; name each option instead")
        if parameter.kind is parameter.VAR_POSITIONAL:
            variadic = True
            continue
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        if parameter.name not in hints and keyword:
            raise ValueError(f"parameter `{parameter.name}` has no type hint")
        if keyword:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
        else:
            given[parameter.name] = parameter.default
    # Composer's own models are built when they are first used, and a test checks their defaults.
    own = target.__module__.startswith("composer.")
    model = options_model(name, fields, late=own)
    if not own:
        check_defaults(model)
    given_hints = {parameter: hints.get(parameter, Any) for parameter in given}
    return Signature(given, given_hints, variadic, model, hints.get("return"))


def _initialiser(target: type) -> Callable[..., Any] | None:
    """The `__init__` that a class writes or inherits; None for nn.Module's own, which takes no options."""
    owner = next(one for one in target.__mro__ if "__init__" in vars(one))
    # By name, so that torch is not imported.
    bare = owner is object or (owner.__module__, owner.__name__) == ("torch.nn.modules.module", "Module")
    return None if bare else vars(owner)["__init__"]


def check_defaults(model: type[BaseModel]) -> None:
    """Raises ValueError for a default that its own type hint refuses."""
    try:
        validate_options(model, {})
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] != "missing":
                text = f"the default of `{problem['loc'][0]}`: {describe_problem(problem)}"
                raise ValueError(text) from error


def options_model(name: str, fields: Mapping[str, Any], *, late: bool = False) -> type[BaseModel]:
    """A frozen, strict model of the fields `{name: (hint, default)}`. Raises ValueError for a wrong hint; a model that
    is built late, when it is first used, may raise it then."""
    try:
        return create_model(name, __config__=ConfigDict(**STRICT, defer_build=late), **fields)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
        raise ValueError(f"an option has a type that YAML cannot write: {str(error).splitlines()[0]}") from error
    except NameError as error:
        raise ValueError(f"an option's name cannot be used: {error}") from error


def validate_options(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The options as Python values, with defaults. Raises pydantic.ValidationError.

    The values go through JSON, because only then may a list become a tuple while a string never becomes a number.
    """
    if not values and not model.model_fields:
        return {}
    return dict(_validated(model, json.dumps(values)))


# Networks repeat the same few operations many times.
@lru_cache(maxsize=4096)
def _validated(model: type[BaseModel], text: str) -> Mapping[str, Any]:
    checked = model.model_validate_json(text)
    return {name: getattr(checked, name) for name in model.model_fields}


def describe_problem(error: Mapping[str, Any]) -> str:
    """An error record of pydantic in a few words: what was expected and what was found."""
    found = error.get("input")
    text = str(error["msg"]).removeprefix("Value error, ")
    text = text.removeprefix("Input should be ").removeprefix("a valid ")
    return f"expected {text}, found {found!r}" if not isinstance(found, dict | list) else f"expected {text}"


__all__ = [
    "EVEN",
    "EXPRESSION",
    "STRICT",
    "FiniteFloat",
    "Lengths",
    "NonNegativeInt",
    "OddInt",
    "Padding",
    "Padding3d",
    "Paddings",
    "PositiveFloat",
    "PositiveInt",
    "Probability",
    "Signature",
    "Size",
    "Size3d",
    "ValidationError",
    "describe_problem",
    "options_model",
    "read_signature",
    "validate_options",
]
