"""The spec language as JSON Schema (draft-07), with the options of every registered mechanism and layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from composer.schema.options import draft7, or_expression
from composer.schema.parts import explained, node, options, rule, usable
from composer.spec import zoo
from composer.spec.kind import WORDS
from composer.spec.load import load_spec
from composer.spec.model import SpecFile
from composer.spec.references import family
from composer.spec.spec import Spec


def schema() -> dict[str, Any]:
    """The JSON Schema with which editors that use yaml-language-server check and complete specs."""
    whole: dict[str, Any] = draft7(SpecFile.model_json_schema())
    parts = {name: explained(name, part) for name, part in whole["$defs"].items()}
    parts["NodeSpec"] = node(parts["NodeSpec"])
    parts["Rule"] = rule(parts["Rule"])
    short = {"type": "array", "items": or_expression({"type": "integer"})}
    parts["InputSpec"] = {"anyOf": [short, parts["InputSpec"]]}
    parts["WeightsSpec"] = {"anyOf": [{"type": "string", "minLength": 1}, _weights(parts["WeightsSpec"])]}
    names = {"enum": zoo.names()}
    whole["properties"]["backbone"] = {"anyOf": [names, {"type": "string", "pattern": r"\.ya?ml$"}]}
    whole["properties"]["vars"] = _declared(whole["properties"]["vars"])
    whole["properties"]["nodes"]["anyOf"][0]["minProperties"] = 1
    whole = explained("SpecFile", whole)
    whole["allOf"] = [
        {"not": {"required": ["input", "inputs"]}},
        _rules_use(usable(), unless=("blocks", "backbone")),
        *(_of_family(*one) for one in _families()),
    ]
    whole["definitions"] = {**parts, **options()}
    del whole["$defs"]
    whole["anyOf"] = [{"required": ["nodes"]}, {"required": ["backbone"]}]
    # Only nodes and rules use blocks.
    whole["dependencies"] = {"blocks": {"anyOf": [{"required": ["nodes"]}, {"required": ["attention"]}]}}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **whole, "title": "composer spec"}


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
    declaration = {**explained("declaration", {"properties": keys}), "additionalProperties": False}
    one = {"if": {"type": "object", "required": ["default"]}, "then": declaration}
    return {**vars, "additionalProperties": one}


def _families() -> Iterator[tuple[list[str], Spec]]:
    """The networks of the zoo that one file writes, and its Spec."""
    families: dict[str, list[str]] = {}
    for name in zoo.names():
        families.setdefault(family(name), []).append(name)
    return ((members, load_spec(name)) for name, members in families.items())


def _of_family(members: Sequence[str], spec: Spec) -> dict[str, Any]:
    """A schema: on these backbones, the family's vars, and its blocks for rules to use."""
    kinds = {var: or_expression(kind.schema()) for var, kind in spec.kinds.items()}
    known = {"properties": {"vars": {"propertyNames": {"enum": [*kinds]}}}}
    # Nodes and rules may read vars that the spec adds.
    reading = [{"required": [part]} for part in ("nodes", "attention")]
    then = {
        "properties": {"vars": {"type": "object", "properties": kinds}},
        "allOf": [{"anyOf": [*reading, known]}, _rules_use([*usable(), *spec.blocks], unless=("blocks",))],
    }
    return {"if": {"properties": {"backbone": {"enum": members}}, "required": ["backbone"]}, "then": then}


def _rules_use(names: Sequence[str], unless: Sequence[str]) -> dict[str, Any]:
    """A schema: rules use only these names, unless the spec has one of these keys, with which it may have others."""
    rules = {"properties": {"attention": {"items": {"properties": {"use": {"enum": list(names)}}}}}}
    return {"anyOf": [*({"required": [key]} for key in unless), rules]}


def _weights(written: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {"anyOf": [{"enum": zoo.key_maps()}, {"type": "string", "pattern": r"\.ya?ml$"}]}
    keys["description"] = written["properties"]["keys"]["description"]
    by_order = {"properties": {"match": {"const": "order"}}, "required": ["match", "keys"]}
    return {**written, "properties": {**written["properties"], "keys": keys}, "not": by_order}
