"""The JSON schema explains every key, and accepts and refuses the same specs as the checker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

import composer
from composer.schema import schema
from composer.spec.kind import DECLARATION
from composer.spec.model import NODE_KEYS, BlockSpec, InputSpec, PartSpec, Published, Rule, SpecFile, WeightsSpec

CONV = {"op": "conv2d", "out_channels": 8, "kernel_size": 3}
UNIT = {"unit": {"args": {"width": 8}, "nodes": {"conv": {**CONV, "out_channels": "$width"}}}}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return schema()


@pytest.fixture(scope="module")
def validator(whole: dict[str, Any]) -> jsonschema.Draft7Validator:
    jsonschema.Draft7Validator.check_schema(whole)
    return jsonschema.Draft7Validator(whole)


def properties(part: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of a model, also of one that has a short form."""
    for one in (part, *part.get("anyOf", ())):
        yield from one.get("properties", {}).items()


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("SpecFile", list(SpecFile.model_fields)),
        ("NodeSpec", list(NODE_KEYS)),
        ("OutputSpec", ["from", "only", "when"]),
        ("BlockSpec", list(BlockSpec.model_fields)),
        ("PartSpec", list(PartSpec.model_fields)),
        ("Rule", [field.alias or name for name, field in Rule.model_fields.items()]),
        ("InputSpec", list(InputSpec.model_fields)),
        ("WeightsSpec", list(WeightsSpec.model_fields)),
        ("Published", list(Published.model_fields)),
    ],
)
def test_every_key_has_a_description(whole: dict[str, Any], name: str, keys: list[str]) -> None:
    part = whole if name == "SpecFile" else whole["definitions"][name]
    described = {key: one.get("description", "") for key, one in properties(part)}
    assert list(described) == keys
    assert [key for key, text in described.items() if len(text.split()) < 3] == []


def test_every_key_of_a_declaration_has_a_description(whole: dict[str, Any]) -> None:
    declared = whole["properties"]["vars"]["additionalProperties"]["then"]["properties"]
    assert list(declared) == list(DECLARATION)
    assert all(one["description"] for one in declared.values())


def net(**nodes: Any) -> dict[str, Any]:
    return {"input": [8, 9, 9], "nodes": nodes}


def rule(**keys: Any) -> dict[str, Any]:
    return {"backbone": "resnet18", "attention": [keys]}


RESNET = {"backbone": "resnet18", "vars": {"num_classes": 3}, "attention": [{"use": "se", "after": "branch"}]}
IMAGE = {"input": [3, 64, 64]}
RIGHT = {
    "short form": net(a="relu"),
    "required options": net(a=CONV),
    "facts instead of options": net(a={"op": "se", "reduction": 4}),
    "an operation by expression": {**net(a={"op": "$act"}), "vars": {"act": "relu"}},
    "a block": {**net(a={"block": "unit", "args": {"width": 4}}), "blocks": UNIT},
    "a repeat": net(a={"op": "relu", "repeat": 2, "as": "act${index}"}),
    "an inline repeat": net(a={"op": "relu", "repeat": 2, "inline": True}),
    "inline off": net(a={"op": "relu", "inline": False}),
    "weights by network": {**net(a={"backbone": "resnet18"}), **IMAGE, "weights": {"a": "timm:resnet18"}},
    "an output of training": {**net(a=CONV, b="relu"), "outputs": {"y": "b", "z": {"from": "a", "only": "training"}}},
    "a network as a node": net(a={"op": "conv2d", "out_channels": 3, "kernel_size": 1}, b=RESNET)
    | {"input": [8, 64, 64]},
    "a network by a var": {**net(b={**RESNET, "backbone": "$net"}), "vars": {"net": "resnet18"}, **IMAGE},
    "a network as a block": {
        **net(a={"block": "tower"}),
        "blocks": {"tower": {**RESNET, "outputs": "layer4"}},
        **IMAGE,
    },
    "all copies": net(a=CONV, b={"op": "relu", "repeat": 2}, c={"op": "add", "from": ["a", "b.*"]}),
    "a node that shares": net(a=CONV, b={"share": "a"}),
    "copies that are one": net(a={"op": "relu", "repeat": 2, "share": True}),
    "no args": net(a={"op": "relu", "args": {}}),
    "a rule": rule(use="se", after="branch"),
    "a rule at several sites": rule(use="se", after=["branch", "shortcut"], every=2, expect=8),
    "a description": {**rule(use="se", after="branch", description="gates"), "description": "a network"},
    "a block as a mechanism": {**rule(use="gate", after="branch"), "blocks": {"gate": {"nodes": {"a": "sigmoid"}}}},
    "a layer as a mechanism": rule(use="dropout", after="branch", **{"with": {"p": 0.1}}),
    "a block of the backbone as a mechanism": {
        "backbone": "vit_tiny_patch16_224",
        "attention": [{"use": "mlp", "after": "mixer", "where": "block == 1"}],
    },
    "remove": rule(remove="act1"),
    "remove at some": rule(remove=["act1", "**.act2"], where="stage == 1 or path == 'act1'"),
    "an own var": {**rule(use="se", after="branch", **{"with": {"reduction": "$ratio"}}), "vars": {"ratio": 8}},
    "a declared own var": {**rule(use="se", after="branch", where="stage > first"), "vars": {"first": {"default": 2}}},
    "a var with a description": {**net(a=CONV), "vars": {"width": {"default": 8, "description": "how wide"}}},
    "two inputs": {"inputs": {"a": [3, 4, 4], "b": [3, 4, 4]}, "nodes": {"sum": {"op": "add", "from": ["a", "b"]}}},
}
WRONG = {
    "a required option is missing": net(a={"op": "conv2d", "kernel_size": 3}),
    "a short form of what needs options": net(a="conv2d"),
    "op with args": net(a={**CONV, "args": {"width": 3}}),
    "op and block": {**net(a={"op": "relu", "block": "unit"}), "blocks": UNIT},
    "neither": net(a={"from": "input"}),
    "an option of a block": {**net(a={"block": "unit", "width": 4}), "blocks": UNIT},
    "inline without repeat": net(a={"op": "relu", "inline": True}),
    "as without repeat": net(a={"op": "relu", "as": "act"}),
    "a site of an inline repeat": net(a={"op": "relu", "repeat": 2, "inline": True, "site": "block"}),
    "share without repeat": net(a={"op": "relu", "share": True}),
    "share of a repeat": net(a="relu", b={"share": "a", "repeat": 2}),
    "an output of eval": {**net(a=CONV), "outputs": {"y": {"from": "a", "only": "eval"}}},
    "an output from nowhere": {**net(a=CONV), "outputs": {"y": {"only": "training"}}},
    "a network with args": {**net(a={"backbone": "resnet18", "args": {"num_classes": 3}}), **IMAGE},
    "a network with another's var": {**net(a={"backbone": "resnet18", "vars": {"patch": 4}}), **IMAGE},
    "a network that is an operation": {**net(a={**RESNET, "op": "relu"}), **IMAGE},
    "a network that nobody knows": {**net(a={"backbone": "resnet19"}), **IMAGE},
    "share off": net(a={"op": "relu", "share": False}),
    "no nodes": net(),
    "both input and inputs": {**net(a="relu"), "inputs": {"b": [3, 4, 4]}},
    "remove with use": rule(remove="act1", use="se"),
    "remove with options": rule(remove="act1", **{"with": {"reduction": 4}}),
    "remove with a start": rule(remove="act1", start="identity"),
    "remove with share": rule(remove="act1", share="stage"),
    "a var's description that is no text": {**net(a=CONV), "vars": {"width": {"default": 8, "description": 5}}},
    "an unknown mechanism in a network of its own": {**net(a="relu"), "attention": [{"use": "gate", "after": "a"}]},
    "an unknown mechanism": rule(use="gate", after="branch"),
    "a block that nothing uses": {"backbone": "resnet18", "blocks": {"gate": {"nodes": {"a": "sigmoid"}}}},
    "an option that a layer has not": rule(use="dropout", after="branch", **{"with": {"rate": 0.1}}),
    "no mechanism": rule(after="branch"),
    "no place": rule(use="se"),
    "two positions": rule(use="se", after="branch", before="branch"),
    "before and remove": rule(use="se", before="branch", remove="act1"),
    "an input after": rule(use="se", after="**.add", input=1),
    "no selector": rule(use="se", after=[]),
    "a number for a selector": rule(use="se", after=["branch", 3]),
    "every none": rule(use="se", after="branch", every=0),
    "every half": rule(use="se", after="branch", every=0.5),
    "expect none": rule(use="se", after="branch", expect=0),
    "a misspelt var": {"backbone": "resnet18", "vars": {"num_clases": 10}},
    "an unknown key of a declaration": {**net(a=CONV), "vars": {"width": {"default": 8, "minimun": 1}}},
    "a description that is no text": {**net(a=CONV), "description": 5},
    "keys by order": {"backbone": "resnet18", "weights": {"source": "timm:x", "match": "order", "keys": "k.yaml"}},
}


@pytest.mark.parametrize("name", RIGHT)
def test_both_accept(validator: jsonschema.Draft7Validator, name: str) -> None:
    composer.graph(RIGHT[name])
    assert [error.message for error in validator.iter_errors(RIGHT[name])] == []


@pytest.mark.parametrize("name", WRONG)
def test_both_refuse(validator: jsonschema.Draft7Validator, name: str) -> None:
    with pytest.raises(composer.ComposerError):
        composer.graph(WRONG[name])
    assert list(validator.iter_errors(WRONG[name]))
