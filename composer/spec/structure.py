"""A document -> the model of a spec file. Misfits are reported in the words of a spec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from pydantic import ValidationError

from composer.errors import MAX_FOUND, Diagnostic, SpecError, did_you_mean, one_of, typed_in
from composer.spec.document import Document, Keys
from composer.spec.form import check_file, check_weights
from composer.spec.kind import boolean_advice, found
from composer.spec.model import (
    POSITIONS,
    BlockSpec,
    InputSpec,
    OutputSpec,
    PartSpec,
    Published,
    Rule,
    SourceSpec,
    SpecFile,
    WeightsSpec,
)
from composer.spec.origin import Origin

# The path of a mapping, and its place -> the keys that it may have.
KeysAt = Callable[[Keys, Origin], Iterable[str]]
# Yields the problems of a sound model.
Check = Callable[[SpecFile, Origin], Iterator[Diagnostic]]

_KEYS: dict[str, Iterable[str]] = {
    "attention": [field.alias or name for name, field in Rule.model_fields.items()],
    "blocks": BlockSpec.model_fields,
    "input": InputSpec.model_fields,
    "inputs": InputSpec.model_fields,
    "published": Published.model_fields,
    "weights": WeightsSpec.model_fields,
}
_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number from {ge:g} on",
    "less_than_equal": "a number up to {le:g}",
    "literal_error": "{expected}",
    "too_short": "at least one",
}
_MODELS = {
    "NodeSpec": "the name of an operation, or a mapping with `op` or `block`",
    "BlockSpec": "a mapping with `nodes`",
    "PartSpec": "a mapping with `backbone`",
    "OutputSpec": "a mapping with `from`",
    "SourceSpec": "a name of the zoo, a path, or a model of a library: `{timm: NAME}`",
    "SpecFile": "a name of the zoo, a path, or a spec",
    "Published": "a mapping with `table`, `architecture`, `mechanism` and `top1`",
    "InputSpec": "a shape such as `[3, 224, 224]`, or a mapping with `shape`",
    "Rule": "a mapping with `use` and a place",
    "WeightsSpec": "a path, a hub reference, or a mapping with `source`",
}


_EXAMPLES = {
    "nodes": "`nodes: {conv: {op: conv2d, out_channels: 8, kernel_size: 3}, act: relu}`",
    "blocks": "`blocks: {unit: {nodes: {act: relu}}}`",
    "vars": "`vars: {width: 64}`",
    "args": "`args: {planes: 64}`",
    "inputs": "`inputs: {image: [3, 224, 224]}`",
}


def validate(document: Document) -> SpecFile:
    """The model of a document, its structure checked. Raises SpecError."""
    content, problems = inspect(document)
    SpecError.check(problems)
    assert content is not None, "what has no problems has a model"
    return content


def inspect(document: Document, check: Check = check_file) -> tuple[SpecFile | None, list[Diagnostic]]:
    """The model of the sound part of a document, or None; and every problem, those that `check` yields too.

    Raises SpecError.
    """
    origin = Origin(document)
    plain = document.plain()
    if not isinstance(plain, dict):
        text, help = f"a spec is a mapping, not {found(plain)}", typed_in(plain) if isinstance(plain, str) else ()
        raise SpecError(origin.problem("structure", text, "`key: value` pairs", help))
    try:
        return _checked(SpecFile.model_validate(plain), origin, [], check)
    except ValidationError as error:
        problems = list(islice(misfits(error, origin, _keys_at), MAX_FOUND))
    if any(_names_something(problem.path.split(".")) for problem in problems):
        return None, problems
    for problem in problems:
        plain = _without(plain, problem.path.split("."))
    try:
        return _checked(SpecFile.model_validate(plain), origin, problems, check)
    except ValidationError:
        return None, problems


def _checked(
    content: SpecFile, origin: Origin, before: list[Diagnostic], check: Check
) -> tuple[SpecFile, list[Diagnostic]]:
    """The model and all problems, those known before first. Problems within a known problem's part are dropped."""
    found = islice(check(content, origin), MAX_FOUND)
    around = [one.path for one in before]
    return content, [*before, *(one for one in found if not any(_is_within(path, one.path) for path in around))]


def _names_something(steps: list[str]) -> bool:
    """Whether other parts refer to the value at this path by name, so that it must not be left out."""
    sections = ("nodes", "blocks", "vars", "args", "inputs", "input")
    return steps[-1] in sections or steps[-2:-1] in (["nodes"], ["blocks"])


def _is_within(path: str, outer: str) -> bool:
    return not outer or path == outer or path.startswith(f"{outer}.")


def _without(value: Any, steps: list[str]) -> Any:
    """A plain value without the key at this path; unchanged if the path leads to an item of a list."""
    step, *rest = steps
    if isinstance(value, list) and rest and step.isdecimal():
        return [_without(item, rest) if index == int(step) else item for index, item in enumerate(value)]
    if not isinstance(value, dict) or step not in value:
        return value
    if rest:
        return {**value, step: _without(value[step], rest)}
    return {key: child for key, child in value.items() if key != step}


def validate_weights(value: Any) -> WeightsSpec:
    """The `weights` of a spec, given from outside. Raises SpecError."""
    document = Document.from_mapping({"weights": value}, "<weights>")
    content = _parse(document)
    if not isinstance(content.weights, WeightsSpec):
        text = "weights given from outside are those of the whole network"
        raise SpecError((Origin(document) / "weights").problem("weights", text, "a mapping with `source`"))
    SpecError.check(check_weights(content.weights, Origin(document) / "weights"))
    return content.weights


def _parse(document: Document) -> SpecFile:
    try:
        return SpecFile.model_validate(document.plain())
    except ValidationError as error:
        SpecError.check(misfits(error, Origin(document), _keys_at))
        raise AssertionError("a validation error has records") from error


def misfits(error: ValidationError, origin: Origin, keys_at: KeysAt) -> Iterator[Diagnostic]:
    """The problems of what is written at `origin`, which pydantic found; `keys_at` gives the keys that a place has."""
    # Pydantic reports each member of a union separately.
    wrong: dict[Keys, list[str]] = {}
    for record in error.errors(include_url=False):
        # Pydantic's paths also contain the members of unions.
        here = Origin(origin.document, (*origin.path, *record["loc"])).written
        if record["type"] == "extra_forbidden":
            yield _unknown_key(here, keys_at)
        elif record["type"] == "missing":
            name = str(record["loc"][-1])
            yield here.problem("missing-key", f"`{name}` is missing", f"`{name}: …`", key=True)
        else:
            wrong.setdefault(here.path, []).append(_expected(record))
    # If a member of a union fits except for one part, report only that part.
    around = {path[:length] for path in wrong for length in range(len(path))}
    for path, expected in wrong.items():
        if path in around:
            continue
        yield _wrong_type(Origin(origin.document, path), _either(expected))


def _unknown_key(here: Origin, keys_at: KeysAt) -> Diagnostic:
    known = keys_at(here.path[:-1], here)
    hint = did_you_mean(here.path[-1], known, f"the keys here are {one_of(known, 24)}")
    return here.problem("unknown-key", f"unknown key `{here.path[-1]}`", "not a key of this place", hint, key=True)


def _keys_at(path: Keys, here: Origin) -> Iterable[str]:
    """The keys that a mapping at this path may have."""
    match path:
        case (*_, "backbone") if not here.document.nearest(path).plain().keys() & {"nodes", "backbone"}:
            return [field.alias or name for name, field in SourceSpec.model_fields.items()]
        case () | (*_, "backbone"):
            return SpecFile.model_fields
        case ("blocks", _) if "backbone" not in here.document.nearest(path).plain():
            return BlockSpec.model_fields
        case ("blocks", _) | (*_, "nodes", _):
            return PartSpec.model_fields
        case (*_, "attention", _):
            return _KEYS["attention"]
        case (*_, "outputs", _):
            return [field.alias or name for name, field in OutputSpec.model_fields.items()]
        case (*_, "weights") | (*_, "weights", _):
            return _KEYS["weights"]
        case _:
            return _KEYS[str(path[0])]


def _expected(record: Any) -> str:
    context = record.get("ctx", {})
    if record["type"] == "model_type":
        return _MODELS.get(context["class_name"], "a mapping")
    text = _EXPECTED.get(record["type"])
    return text.format(**context).replace("'", "`") if text else str(record["msg"])


def _either(expected: list[str]) -> str:
    several = list(dict.fromkeys(expected))
    if len(several) > 1 and "a list" not in several:
        several = ["an expression" if one == "a string" else one for one in several]
    return " or ".join(several)


def _wrong_type(here: Origin, expected: str) -> Diagnostic:
    value = here.document.nearest(here.path).plain()
    name = here.dotted if isinstance(here.path[-1], int) else here.path[-1]
    if value is None:
        help = ("write a value, or remove the key",)
        return here.problem("wrong-type", f"`{name}` has no value", expected, help, key=True)
    if here.path[0] == "attention" and name in POSITIONS:
        expected = "a site or a glob over paths, or a list of them"
    if not value and isinstance(value, dict | list):
        return here.problem("wrong-type", f"`{name}` is empty", expected)
    if expected == "a list" and name in ("from", "site", "inputs"):
        expected = "a name or a list of names"
    if here.path == ("outputs",):
        expected = "the path of a node, or a mapping of names to paths"
    return here.problem("wrong-type", f"`{name}` is {found(value)}", expected, _advice(name, value, expected))


def _advice(name: Any, value: Any, expected: str) -> tuple[str, ...]:
    if isinstance(value, str) and "number" in expected and value.replace(".", "", 1).isdecimal():
        return ("without the quotes it is a number",)
    if "true or false" in expected:
        return boolean_advice(value)
    if isinstance(value, list) and name in _EXAMPLES:
        return (f"each has its name for a key, such as {_EXAMPLES[name]}",)
    return ("start each item with `- `",) if isinstance(value, dict) and expected == "a list" else ()
