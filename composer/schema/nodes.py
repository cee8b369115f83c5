"""Nodes, networks inside others, and rules as JSON Schema: what keys mean, and what they demand of one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from composer import registry
from composer.options import EXPRESSION
from composer.registry import Entry, ParameterEntry
from composer.schema.options import options_of, required_options
from composer.spec.meanings import MEANINGS
from composer.spec.model import LIBRARIES, NODE_KEYS, POSITIONS, UNSAID

_NAME = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,99}$"}
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


def part(written: Mapping[str, Any], networks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The schema of a network inside another, from that of its model and those of what a backbone may be."""
    forms = [*networks, EXPRESSION, {"$ref": "#/definitions/SourceSpec"}, {"$ref": "#"}]
    backbone = {"anyOf": forms, "description": MEANINGS["PartSpec"]["backbone"]}
    of_family = [{"$ref": "#/definitions/VarsOfFamily"}]
    return {**written, "properties": {**written["properties"], "backbone": backbone}, "allOf": of_family}


def model(written: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a model of another library, from that of its class: one library, and `class` for transformers."""
    config = {"properties": {"transformers": {"if": {"type": "object"}, "then": {"required": ["model_type"]}}}}
    one = [{"required": [library]} for library in LIBRARIES]
    return {**written, "oneOf": one, "allOf": [config], "dependencies": {"class": ["transformers"]}}


def node(written: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a node, from those of its model and of a network inside another."""
    entries = registry.entries()
    keys = {"backbone": part["properties"]["backbone"], **written["properties"]}
    keys["op"] = {"anyOf": [{"enum": [entry.name for entry in entries]}, EXPRESSION]}
    del keys["(part)"]
    by_op = [_when("op", entry, _node_of(entry)) for entry in entries]
    of_its_own: list[dict[str, Any]] = [{"required": ["op"]}, {"required": ["block"]}, {"required": ["backbone"]}]
    again = {**_AGAIN, "not": {"anyOf": [*of_its_own, {"required": ["repeat"]}]}}
    mapping = {"type": "object", "properties": keys, "oneOf": [*of_its_own, again]}
    alone = {"enum": [entry.name for entry in entries if not required_options(entry)]}
    forms = [*_FORMS, {"if": {"required": ["backbone"]}, "then": _node_as_part(part)}, *by_op]
    return {"anyOf": [alone, EXPRESSION, {**explained("NodeSpec", mapping), "allOf": forms}]}


def _node_as_part(part: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a node that is a network."""
    own = {key: one for key, one in part["properties"].items() if key != "site"}
    names = {"enum": [*(key for key in NODE_KEYS if key not in ("op", "block", "args")), *own]}
    return {"properties": own, "propertyNames": names, "allOf": part["allOf"]}


def _node_of(entry: Entry) -> dict[str, Any]:
    """The schema of a node with this operation: no keys but its own and the options."""
    found: dict[str, Any] = {"propertyNames": {"enum": [*NODE_KEYS, *options_of(entry)]}, "allOf": [_options(entry)]}
    if required := required_options(entry):
        # A node that calls the module of another has that one's options.
        found["anyOf"] = [{"required": required}, _AGAIN]
    return found


def rule(written: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a rule, from that of its model."""
    # A rule may also use a block.
    keys = {**written["properties"], "use": {"anyOf": [{"$ref": "#/definitions/usable"}, _NAME]}}
    by_use = [_when("use", entry, {"properties": {"with": _with(entry)}}) for entry in registry.entries()]
    at = [{"required": ["remove"] if name == "remove" else ["use", name]} for name in POSITIONS]
    unsaid = [_without(position, others) for position, others in UNSAID.items()]
    return {**explained("Rule", {**written, "properties": keys}), "allOf": [*unsaid, *by_use], "oneOf": at}


def usable() -> list[str]:
    """What a rule may insert besides blocks: mechanisms, and layers that take a tensor."""
    return [entry.name for entry in registry.entries() if not isinstance(entry, ParameterEntry)]


def _with(entry: Entry) -> dict[str, Any]:
    """The schema of the options that a rule gives: no keys but these."""
    return {"type": "object", "propertyNames": {"enum": [*options_of(entry)]}, "allOf": [_options(entry)]}


def options() -> dict[str, Any]:
    """The definitions of all options, which nodes and rules refer to."""
    return {f"options-{entry.name}": {"properties": options_of(entry)} for entry in registry.entries()}


def _options(entry: Entry) -> dict[str, Any]:
    return {"$ref": f"#/definitions/options-{entry.name}"}


def _when(key: str, entry: Entry, then: Mapping[str, Any]) -> dict[str, Any]:
    """A schema: what holds if `key` has the entry's name."""
    return {"if": {"properties": {key: {"const": entry.name}}, "required": [key]}, "then": then}


def _without(key: str, others: Iterable[str]) -> dict[str, Any]:
    """A schema: with `key`, none of the other keys."""
    return {"if": {"required": [key]}, "then": {"not": {"anyOf": [{"required": [one]} for one in others]}}}


def explained(name: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a model or a declaration with the meaning of each key."""
    meanings = MEANINGS.get(name, {})
    return {**part, "properties": {key: _described(one, meanings.get(key)) for key, one in part["properties"].items()}}


def _described(part: Mapping[str, Any], meaning: str | None) -> dict[str, Any]:
    """The schema of a key with a description, if it has none of its own."""
    if meaning is None or "description" in part:
        return dict(part)
    # In draft-07, what stands beside a reference is not read.
    return {"description": meaning, **({"allOf": [part]} if "$ref" in part else part)}
