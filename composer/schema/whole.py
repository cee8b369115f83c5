"""The spec language as JSON Schema (draft-07), with the options of every registered mechanism and layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.schema.nodes import explained, model, node, options, part, rule, usable
from composer.schema.options import closed, draft7, or_expression
from composer.schema.recipe import recipe_parts
from composer.spec import zoo
from composer.spec.kind import WORDS
from composer.spec.load import load_spec
from composer.spec.model import SpecFile, WeightsSpec
from composer.spec.references import family

# By it a schema that composer wrote is known again, of any version: never change it.
TITLE = "composer spec"


def schema() -> dict[str, Any]:
    """The JSON Schema with which editors that use yaml-language-server check and complete specs."""
    models = draft7(SpecFile.model_json_schema())["$defs"]
    whole: dict[str, Any] = models.pop("SpecFile")
    families = list(_families())
    parts = {name: explained(name, one) for name, one in models.items()}
    parts["PartSpec"] = part(parts["PartSpec"], _networks())
    parts["NodeSpec"] = node(parts["NodeSpec"], parts["PartSpec"])
    parts["Rule"] = rule(parts["Rule"])
    short = {"type": "array", "items": or_expression({"type": "integer"})}
    parts["InputSpec"] = {"anyOf": [short, parts["InputSpec"]]}
    parts["WeightsSpec"] = {"anyOf": [{"type": "string", "minLength": 1}, _weights(parts["WeightsSpec"])]}
    parts["SourceSpec"] = model(parts["SourceSpec"])
    whole["properties"]["backbone"] = {"anyOf": [*_networks(), {"$ref": "#/definitions/SourceSpec"}]}
    whole["properties"]["weights"] = _of_parts({"$ref": "#/definitions/WeightsSpec"})
    parts |= recipe_parts()
    named = [{"enum": zoo.recipes()}, {"type": "string", "pattern": r"\.ya?ml$"}]
    whole["properties"]["train"] = {"anyOf": [*named, {"$ref": "#/definitions/Recipe"}]}
    whole["properties"]["vars"] = _declared(whole["properties"]["vars"])
    whole["properties"]["nodes"]["anyOf"][0]["minProperties"] = 1
    whole = explained("SpecFile", whole)
    whole["allOf"] = [
        {"not": {"required": ["input", "inputs"]}},
        _rules_use((), unless=("blocks", "backbone")),
        *map(_on_family, families),
    ]
    of_parts = {"allOf": _vars_of_parts(families)}
    whole["definitions"] = {**parts, **options(), "VarsOfFamily": of_parts, "usable": {"enum": usable()}}
    whole["anyOf"] = [{"required": ["nodes"]}, {"required": ["backbone"]}]
    # Only nodes and rules use blocks.
    whole["dependencies"] = {"blocks": {"anyOf": [{"required": ["nodes"]}, {"required": ["attention"]}]}}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **whole, "title": TITLE}


def _networks() -> list[dict[str, Any]]:
    """The schemas of what `backbone` may name."""
    short = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_]"
    return [{"enum": zoo.names()}, {"type": "string", "pattern": r"\.ya?ml$"}, {"type": "string", "pattern": short}]


def _of_parts(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of weights of the whole network, or by the path of a network inside it."""
    of_all = [{"required": ["source"]}, {"propertyNames": {"enum": list(WeightsSpec.model_fields)}}]
    by_part = {"type": "object", "additionalProperties": weights, "not": {"anyOf": of_all}}
    return {"anyOf": [weights, by_part]}


def _declared(vars: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of vars that a spec declares: values, or mappings with `default` and allowed values."""
    keys = {
        "default": {},
        "kind": {"enum": list(WORDS)},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "choices": {"type": "array", "minItems": 1},
        "needs": {"type": "object", "minProperties": 1},
        "description": {"type": "string"},
    }
    declaration = {**explained("declaration", {"properties": keys}), "additionalProperties": False}
    one = {"if": {"type": "object", "required": ["default"]}, "then": declaration}
    return {**vars, "additionalProperties": one}


@dataclass(frozen=True)
class _Family:
    """Networks of the zoo that one file writes: backbones, and papers' networks on them; the schemas of their vars."""

    members: Sequence[str]
    vars: Mapping[str, Any]
    blocks: Sequence[str]


def _families() -> Iterator[_Family]:
    families: dict[str, list[str]] = {}
    for name in zoo.names():
        families.setdefault(family(name), []).append(name)
    for name, members in families.items():
        spec = load_spec(name)
        kinds = {var: or_expression(kind.schema()) for var, kind in spec.kinds.items()}
        yield _Family(members, kinds, list(spec.blocks))


def _on_family(family: _Family) -> dict[str, Any]:
    """A schema: on these backbones, their vars, and their blocks for rules to use."""
    known = {"properties": {"vars": {"propertyNames": {"enum": [*family.vars]}}}}
    # Nodes and rules may read vars that the spec adds.
    reading = [{"required": [part]} for part in ("nodes", "attention")]
    then = {
        "properties": {"vars": {"type": "object", "properties": family.vars}},
        "allOf": [{"anyOf": [*reading, known]}, _rules_use(family.blocks, unless=("blocks",))],
    }
    return {"if": {"properties": {"backbone": {"enum": family.members}}, "required": ["backbone"]}, "then": then}


def _vars_of_parts(families: Iterable[_Family]) -> list[dict[str, Any]]:
    """A schema per family: the vars of a network inside another."""
    return [
        {
            "if": {"properties": {"backbone": {"enum": family.members}}},
            "then": {"properties": {"vars": closed(family.vars)}},
        }
        for family in families
    ]


def _rules_use(blocks: Sequence[str], unless: Sequence[str]) -> dict[str, Any]:
    """A schema: rules use what is registered or one of these blocks, unless the spec has a key that may bring more."""
    use = {"anyOf": [{"$ref": "#/definitions/usable"}, {"enum": list(blocks)}]}
    rules = {"properties": {"attention": {"items": {"properties": {"use": use}}}}}
    return {"anyOf": [*({"required": [key]} for key in unless), rules]}


def _weights(written: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {"anyOf": [{"enum": zoo.key_maps()}, {"type": "string", "pattern": r"\.ya?ml$"}]}
    keys["description"] = written["properties"]["keys"]["description"]
    by_order = {"properties": {"match": {"const": "order"}}, "required": ["match", "keys"]}
    return {**written, "properties": {**written["properties"], "keys": keys}, "not": by_order}
