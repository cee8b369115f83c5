"""A document -> the model of a spec file; what does not fit is said in the words of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from composer.errors import Diagnostic, SpecError, did_you_mean, one_of
from composer.spec.document import Document, Path
from composer.spec.evaluate import show
from composer.spec.form import check_file, check_weights
from composer.spec.model import BlockSpec, InputSpec, Published, Rule, SpecFile, WeightsSpec
from composer.spec.origin import Origin

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
    "Published": "a mapping with `table`, `architecture`, `mechanism` and `top1`",
    "InputSpec": "a shape such as `[3, 224, 224]`, or a mapping with `shape`",
    "Rule": "a mapping with `use` and a place",
    "WeightsSpec": "a path, a hub reference, or a mapping with `source`",
}


def validate(document: Document) -> SpecFile:
    """The model of one document, structure checked. Raises SpecError."""
    origin = Origin(document)
    plain = document.plain()
    if not isinstance(plain, dict):
        raise SpecError(origin.problem("structure", f"a spec is a mapping, not {_found(plain)}", "`key: value` pairs"))
    content = _parse(document)
    SpecError.check(check_file(content, origin))
    return content


def validate_weights(value: Any) -> WeightsSpec:
    """What a spec may say of its weights, given from outside. Raises SpecError."""
    document = Document.from_mapping({"weights": value}, "<weights>")
    content = _parse(document)
    assert content.weights is not None, "there is something given"
    SpecError.check(check_weights(content.weights, Origin(document) / "weights"))
    return content.weights


def _parse(document: Document) -> SpecFile:
    try:
        return SpecFile.model_validate(document.plain())
    except ValidationError as error:
        SpecError.check(_problems(error, Origin(document)))
        raise AssertionError("a validation error has records") from error


def _problems(error: ValidationError, origin: Origin) -> Iterator[Diagnostic]:
    # The members of a union each have a record of their own.
    wrong: dict[Path, list[str]] = {}
    for record in error.errors(include_url=False):
        # Pydantic's places also name the members of unions.
        here = Origin(origin.document, record["loc"]).written
        if record["type"] == "extra_forbidden":
            yield _unknown_key(here)
        elif record["type"] == "missing":
            name = str(record["loc"][-1])
            yield here.problem("missing-key", f"`{name}` is missing", f"`{name}: …`", key=True)
        else:
            wrong.setdefault(here.path, []).append(_expected(record))
    # Where a member fits but for a part of it, the part is what is wrong.
    around = {path[:length] for path in wrong for length in range(len(path))}
    for path, expected in wrong.items():
        if path in around:
            continue
        yield _wrong_type(Origin(origin.document, path), _either(expected))


def _unknown_key(here: Origin) -> Diagnostic:
    known = SpecFile.model_fields if len(here.path) == 1 else _KEYS[str(here.path[0])]
    hint = did_you_mean(here.path[-1], known, f"the keys here are {one_of(known, 24)}")
    return here.problem("unknown-key", f"unknown key `{here.path[-1]}`", "not a key of this place", hint, key=True)


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
    if not value and isinstance(value, dict):
        return here.problem("wrong-type", f"`{name}` is empty", expected)
    if expected == "a list" and name in ("from", "site", "inputs"):
        expected = "a name or a list of names"
    advice = _advice(value, expected)
    return here.problem("wrong-type", f"`{name}` is {_found(value)}", expected, (advice,) if advice else ())


def _advice(value: Any, expected: str) -> str:
    if isinstance(value, str) and "number" in expected and value.replace(".", "", 1).isdecimal():
        return "without the quotes it is a number"
    return "start each item with `- `" if isinstance(value, dict) and expected == "a list" else ""


def _found(value: Any) -> str:
    """A value of the wrong type, in words."""
    if isinstance(value, str):
        return f"the string {show(value)}"
    if isinstance(value, bool):
        return show(value)
    if isinstance(value, int | float):
        return f"the number {show(value)}"
    return "a list" if isinstance(value, list) else "a mapping"
