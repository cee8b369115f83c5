"""The spec language as JSON Schema (draft-07), with the options of every registered mechanism and layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from composer import registry
from composer.registry import Entry
from composer.spec import zoo
from composer.spec.kind import WORDS
from composer.spec.load import load_spec
from composer.spec.meanings import MEANINGS
from composer.spec.model import NODE_KEYS, POSITIONS, UNSAID, SpecFile, WeightsSpec
from composer.spec.references import family

# An expression, which any option may have as its value: a string with a dollar sign.
_EXPRESSION = {"type": "string", "pattern": r"\$"}
# Networks of the zoo, and the vars that each of them has.
_Family = tuple[list[str], dict[str, Any]]


def schema() -> dict[str, Any]:
    """The JSON Schema with which editors that use yaml-language-server check and complete specs."""
    models = _draft7(SpecFile.model_json_schema())["$defs"]
    whole: dict[str, Any] = models.pop("SpecFile")
    families = list(_families())
    parts = {name: _explained(name, part) for name, part in models.items()}
    parts["PartSpec"] = _part(parts["PartSpec"])
    parts["NodeSpec"] = _node(parts["NodeSpec"], parts["PartSpec"])
    parts["Rule"] = _rule(parts["Rule"])
    short = {"type": "array", "items": _or_expression({"type": "integer"})}
    parts["InputSpec"] = {"anyOf": [short, parts["InputSpec"]]}
    parts["WeightsSpec"] = {"anyOf": [{"type": "string", "minLength": 1}, _weights(parts["WeightsSpec"])]}
    whole["properties"]["backbone"] = {"anyOf": _networks()}
    whole["properties"]["weights"] = _of_parts({"$ref": "#/definitions/WeightsSpec"})
    whole["properties"]["vars"] = _declared(whole["properties"]["vars"])
    whole["properties"]["nodes"]["anyOf"][0]["minProperties"] = 1
    whole = _explained("SpecFile", whole)
    whole["allOf"] = [{"not": {"required": ["input", "inputs"]}}, *_known_vars(families)]
    whole["definitions"] = {**parts, "VarsOfFamily": {"allOf": _vars_of_parts(families)}}
    whole["anyOf"] = [{"required": ["nodes"]}, {"required": ["backbone"]}]
    whole["dependencies"] = {"blocks": ["nodes"]}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **whole, "title": "composer spec"}


def _networks() -> list[dict[str, Any]]:
    """The schemas of what `backbone` may name."""
    return [{"enum": zoo.names()}, {"type": "string", "pattern": r"\.ya?ml$"}]


def _explained(name: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a model or a declaration with the meaning of each key."""
    meanings = MEANINGS.get(name, {})
    return {**part, "properties": {key: _described(one, meanings.get(key)) for key, one in part["properties"].items()}}


def _described(part: Mapping[str, Any], meaning: str | None) -> dict[str, Any]:
    """The schema of a key with a description, if it has none of its own."""
    if meaning is None or "description" in part:
        return dict(part)
    # In draft-07, what stands beside a reference is not read.
    return {"description": meaning, **({"allOf": [part]} if "$ref" in part else part)}


def _declared(vars: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of vars that a spec with nodes declares: values, or mappings with `default` and allowed values."""
    keys = {
        "default": {},
        "kind": {"enum": list(WORDS)},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "choices": {"type": "array", "minItems": 1},
        "needs": {"type": "object", "minProperties": 1},
        "description": {"type": "string"},
    }
    explained = _explained("declaration", {"properties": keys})
    declaration = {**explained, "additionalProperties": False}
    one = {"if": {"type": "object", "required": ["default"]}, "then": declaration}
    return {**vars, "additionalProperties": one}


def _families() -> Iterator[_Family]:
    """The vars of each family of the zoo: of its backbones and of the papers' networks that use them."""
    families: dict[str, list[str]] = {}
    for name in zoo.names():
        families.setdefault(family(name), []).append(name)
    for name, members in families.items():
        yield members, {var: _or_expression(kind.schema()) for var, kind in load_spec(name).kinds.items()}


_OF_FAMILY = [{"$ref": "#/definitions/VarsOfFamily"}]


def _part(model: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a network inside another."""
    backbone = _described({"anyOf": [*_networks(), _EXPRESSION, {"$ref": "#"}]}, MEANINGS["PartSpec"]["backbone"])
    return {**model, "properties": {**model["properties"], "backbone": backbone}, "allOf": _OF_FAMILY}


def _vars_of_parts(families: Iterable[_Family]) -> list[dict[str, Any]]:
    """A schema per family: the vars of a network inside another."""
    return [
        {"if": {"properties": {"backbone": {"enum": members}}}, "then": {"properties": {"vars": _closed(kinds)}}}
        for members, kinds in families
    ]


def _known_vars(families: Iterable[_Family]) -> Iterator[dict[str, Any]]:
    """A schema per family: its vars."""
    for members, kinds in families:
        known = {"properties": {"vars": {"propertyNames": {"enum": [*kinds]}}}}
        # Nodes and rules may read vars that the spec adds.
        reading = [{"required": [part]} for part in ("nodes", "attention")]
        then = {"properties": {"vars": {"type": "object", "properties": kinds}}, "anyOf": [*reading, known]}
        yield {"if": {"properties": {"backbone": {"enum": members}}, "required": ["backbone"]}, "then": then}


def _node(model: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    entries = registry.entries()
    keys = {"backbone": part["properties"]["backbone"], **model["properties"]}
    keys["op"] = {"anyOf": [{"enum": [entry.name for entry in entries]}, _EXPRESSION]}
    by_op = [_when("op", entry.name, _options(entry), NODE_KEYS, _required(entry)) for entry in entries]
    del keys["(part)"]
    own = {key: one for key, one in part["properties"].items() if key != "site"}
    names = {"enum": [*(key for key in NODE_KEYS if key not in ("op", "block", "args")), *own]}
    inside = {"properties": own, "propertyNames": names, "allOf": part["allOf"]}
    as_part = {"if": {"required": ["backbone"]}, "then": inside}
    written: list[dict[str, Any]] = [{"required": ["op"]}, {"required": ["block"]}, {"required": ["backbone"]}]
    again = {**_AGAIN, "not": {"anyOf": [*written, {"required": ["repeat"]}]}}
    node = {"type": "object", "properties": keys, "oneOf": [*written, again]}
    alone = {"enum": [entry.name for entry in entries if not _required(entry)]}
    return {"anyOf": [alone, _EXPRESSION, {**_explained("NodeSpec", node), "allOf": [*_FORMS, as_part, *by_op]}]}


# A node that calls the module of another.
_AGAIN = {"properties": {"share": {"type": "string"}}, "required": ["share"], "not": {"required": ["repeat"]}}
# What the keys of a node demand of one another.
_FORMS = (
    {"if": {"required": ["op"]}, "then": {"properties": {"args": {"maxProperties": 0}}}},
    {"if": {"required": ["block"]}, "then": {"propertyNames": {"enum": list(NODE_KEYS)}}},
    {"if": {"required": ["as"]}, "then": {"required": ["repeat"]}},
    {
        "if": {"properties": {"inline": {"const": True}}, "required": ["inline"]},
        "then": {"required": ["repeat"], "properties": {"site": {"maxItems": 0, "type": "array"}}},
    },
    {
        "if": {"required": ["share"]},
        "then": {"anyOf": [{"properties": {"share": {"const": True}}, "required": ["repeat"]}, _AGAIN]},
    },
)


def _rule(written: Mapping[str, Any]) -> dict[str, Any]:
    entries = registry.entries("mechanism")
    keys = {**written["properties"], "use": {"enum": [entry.name for entry in entries]}}
    by_use = [_when("use", entry.name, {"with": _closed(_options(entry))}) for entry in entries]
    at = [{"required": ["remove"] if name == "remove" else ["use", name]} for name in POSITIONS]
    unsaid = [_without(position, others) for position, others in UNSAID.items()]
    return {**_explained("Rule", {**written, "properties": keys}), "allOf": [*unsaid, *by_use], "oneOf": at}


def _weights(written: Mapping[str, Any]) -> dict[str, Any]:
    keys = {"anyOf": [{"enum": zoo.key_maps()}, {"type": "string", "pattern": r"\.ya?ml$"}]}
    explained = {**keys, "description": written["properties"]["keys"]["description"]}
    by_order = {"properties": {"match": {"const": "order"}}, "required": ["match", "keys"]}
    return {**written, "properties": {**written["properties"], "keys": explained}, "not": by_order}


def _without(key: str, others: Iterable[str]) -> dict[str, Any]:
    """A schema: with `key`, none of the other keys."""
    return {"if": {"required": [key]}, "then": {"not": {"anyOf": [{"required": [one]} for one in others]}}}


def _of_parts(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of weights of the whole network, or by the path of a network inside it."""
    of_all = [{"required": ["source"]}, {"propertyNames": {"enum": list(WeightsSpec.model_fields)}}]
    by_part = {"type": "object", "additionalProperties": weights, "not": {"anyOf": of_all}}
    return {"anyOf": [weights, by_part]}


def _when(
    key: str, name: str, properties: Mapping[str, Any], others: Sequence[str] = (), required: Sequence[str] = ()
) -> dict[str, Any]:
    """A schema: if `key` is `name`, these properties; with `others`, no keys but these and `others`."""
    then: dict[str, Any] = {"properties": dict(properties)}
    if others:
        then["propertyNames"] = {"enum": [*others, *properties]}
    if required:
        then["anyOf"] = [{"required": list(required)}, _AGAIN]
    return {"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": then}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _required(entry: Entry) -> list[str]:
    """The options that a node with this operation must write."""
    return [name for name, field in entry.known_options.items() if field.is_required()]


def _options(entry: Entry) -> dict[str, Any]:
    return {name: part for model in entry.models for name, part in _properties(model).items()}


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    found = _draft7(model.model_json_schema())
    # Definitions would have to move to the top, where names might clash; no option needs definitions so far.
    assert "$defs" not in found, f"options of {model.__name__} need definitions"
    return {name: _or_expression(part) for name, part in found.get("properties", {}).items()}


def _or_expression(part: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value that may be an expression or contain expressions."""
    described = {key: part[key] for key in ("default", "description") if key in part}
    bare = {key: value for key, value in part.items() if key not in (*described, "title")}
    if "anyOf" in bare:
        return {**described, "anyOf": [*map(_inside, bare["anyOf"]), _EXPRESSION]}
    return {**described, "anyOf": [_inside(bare), _EXPRESSION]}


def _inside(part: Mapping[str, Any]) -> dict[str, Any]:
    items, values = part.get("items"), part.get("additionalProperties")
    if isinstance(values, dict):
        return {**part, "additionalProperties": _or_expression(values)}
    if isinstance(items, list):
        return {**part, "items": [_or_expression(item) for item in items]}
    return {**part, "items": _or_expression(items)} if isinstance(items, dict) else dict(part)


def _draft7(part: Any) -> Any:
    """A schema with pydantic's words of draft 2020-12 replaced by those of draft-07."""
    if isinstance(part, list):
        return [_draft7(one) for one in part]
    if not isinstance(part, dict):
        return part
    changed = {key: _draft7(value) for key, value in part.items()}
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
    if part.get("not") == {"multipleOf": 2}:
        words.append("odd")
    return " ".join(words)
