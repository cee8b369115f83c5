"""The options of layers and mechanisms as JSON Schema (draft-07), and in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from composer.options import EVEN, EXPRESSION
from composer.registry import Entry


def required_options(entry: Entry) -> list[str]:
    """The options that a node with this operation must write."""
    return [name for name, field in entry.known_options.items() if field.is_required()]


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a mapping with these keys and no others."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def options_of(entry: Entry) -> dict[str, Any]:
    return {name: part for model in entry.models for name, part in _properties(model).items()}


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    found = draft7(model.model_json_schema())
    # Definitions would have to move to the top, where names might clash; no option needs definitions so far.
    assert "$defs" not in found, f"options of {model.__name__} need definitions"
    return {name: or_expression(part) for name, part in found.get("properties", {}).items()}


def or_expression(part: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value that may be an expression or contain expressions."""
    described = {key: part[key] for key in ("default", "description") if key in part}
    bare = {key: value for key, value in part.items() if key not in (*described, "title")}
    if "anyOf" in bare:
        return {**described, "anyOf": [*map(_inside, bare["anyOf"]), EXPRESSION]}
    return {**described, "anyOf": [_inside(bare), EXPRESSION]}


def _inside(part: Mapping[str, Any]) -> dict[str, Any]:
    items, values = part.get("items"), part.get("additionalProperties")
    if isinstance(values, dict):
        return {**part, "additionalProperties": or_expression(values)}
    if isinstance(items, list):
        return {**part, "items": [or_expression(item) for item in items]}
    return {**part, "items": or_expression(items)} if isinstance(items, dict) else dict(part)


def draft7(part: Any) -> Any:
    """A schema with pydantic's words of draft 2020-12 replaced by those of draft-07."""
    if isinstance(part, list):
        return [draft7(one) for one in part]
    if not isinstance(part, dict):
        return part
    changed = {key: draft7(value) for key, value in part.items()}
    if "prefixItems" in changed:
        changed["items"] = changed.pop("prefixItems")
    if isinstance(changed.get("$ref"), str):
        # A spec inside a spec is the whole schema again.
        changed["$ref"] = changed["$ref"].replace("#/$defs/SpecFile", "#").replace("#/$defs/", "#/definitions/")
    return changed


_COMPARISONS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
}


def describe(part: Mapping[str, Any]) -> str:
    """The JSON Schema of an option, in a few words.

    >>> describe({"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]})
    'integer > 0 | null'
    """
    if "anyOf" in part:
        return " | ".join(describe(one) for one in part["anyOf"])
    if "enum" in part or "const" in part:
        return " | ".join(str(value) for value in part.get("enum", [part.get("const")]))
    words = [part.get("type", "anything")]
    if isinstance(part.get("items"), dict):
        words.append(f"of {describe(part['items'])}")
    elif isinstance(part.get("additionalProperties"), dict):
        words.append(f"of {describe(part['additionalProperties'])}")
    elif "prefixItems" in part:
        words.append(f"of {', '.join(map(describe, part['prefixItems']))}")
    else:
        words += [text.format(part[key]) for key, text in _COMPARISONS.items() if key in part]
    if part.get("not") == EVEN:
        words.append("odd")
    return " ".join(words)
