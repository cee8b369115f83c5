"""Recipes for training as JSON Schema; what a key means is read from the docstring of its model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from composer.schema.options import draft7
from composer.spec.recipe_check import PARTS


def recipe_parts() -> dict[str, Any]:
    """The definitions of a recipe and its parts, by the names of their models."""
    models = {model.__name__: model for model in PARTS.values()}
    written = draft7(PARTS["train"].model_json_schema())
    found = {**written.pop("$defs"), "Recipe": written}
    found = {name: _explained(models[name], one) for name, one in found.items()}
    found["Recipe"]["not"] = {"required": ["epochs", "steps"]}
    return found | {name: {"anyOf": [short, found[name]]} for name, short in _SHORT.items()}


# Parts that a recipe may also write in a word or a number.
_SHORT: dict[str, dict[str, Any]] = {
    "OptimizerSpec": {"type": "string", "minLength": 1},
    "ScheduleSpec": {"enum": ["cosine", "linear", "step", "constant"]},
    "ColorJitter": {"type": "number", "minimum": 0, "maximum": 1},
    "RandAugment": {"type": "boolean"},
}


def _explained(model: type[BaseModel], part: dict[str, Any]) -> dict[str, Any]:
    meanings = dict(_meanings(model.__doc__ or ""))
    properties = {
        key: {"description": meanings[key], **({"allOf": [one]} if "$ref" in one else one)}
        for key, one in part["properties"].items()
    }
    return {**part, "properties": properties, "description": (model.__doc__ or "").partition("\n")[0]}


def _meanings(doc: str) -> Iterator[tuple[str, str]]:
    """Key -> what a docstring says about it, in one line."""
    for line in re.finditer(r"^ {4}(\w+(?:, \w+)*)  +(\S.*(?:\n {6,}\S.*)*)", doc, re.MULTILINE):
        text = " ".join(line[2].split())
        yield from ((name, f"{text[0].upper()}{text[1:]}.") for name in line[1].split(", "))
