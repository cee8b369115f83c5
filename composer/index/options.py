"""The options of a mechanism or layer as a pydantic model, made from the index's JSON Schema without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field

from composer.index.card import read_schema
from composer.options import EVEN, EXPRESSION, OddInt, options_model

_PLAIN: Mapping[str, Any] = {"integer": int, "number": float, "boolean": bool, "string": str, "null": NoneType}
_BOUNDS = {
    "minimum": "ge",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "exclusiveMaximum": "lt",
    "minItems": "min_length",
    "maxItems": "max_length",
    "multipleOf": "multiple_of",
}


def properties(name: str) -> Mapping[str, Any]:
    """Option -> its JSON Schema, of composer's own entry of this name; a required one has no default."""
    found: Mapping[str, Any] = read_schema()["definitions"][f"options-{name}"]["properties"]
    return found


@cache
def options_of(name: str) -> type[BaseModel]:
    """A model of the options that composer's own entry of this name takes, without their defaults."""
    return options_model(name, {option: (hint(part), ...) for option, part in properties(name).items()})


def hint(part: Mapping[str, Any]) -> Any:
    """The type of the values that a schema of an option describes, expressions left aside."""
    if "anyOf" in part:
        return Union[tuple(hint(one) for one in part["anyOf"] if one != EXPRESSION)]  # noqa: UP007
    if "enum" in part or "const" in part:
        return Literal[tuple(part.get("enum", [part.get("const")]))]
    if part.get("not") == EVEN:
        return OddInt
    items, bounds = part.get("items"), {_BOUNDS[key]: value for key, value in part.items() if key in _BOUNDS}
    if isinstance(items, list):
        # As many items as there are types.
        return tuple[tuple(map(hint, items))]  # type: ignore[misc]
    found: Any = list[hint(items)] if items else _PLAIN.get(str(part.get("type")), Any)  # type: ignore[misc]
    if "additionalProperties" in part:
        found = dict[str, hint(part["additionalProperties"])]  # type: ignore[misc]
    return Annotated[found, Field(**bounds)] if bounds else found
