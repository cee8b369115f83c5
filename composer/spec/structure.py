"""A document -> the model of a spec file. Misfits are reported in the words of a spec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from pydantic import ValidationError

from composer.errors import MAX_FOUND, Diagnostic, SpecError, typed_in
from composer.spec.document import Document, Keys
from composer.spec.form import check_file, check_weights
from composer.spec.kind import found
from composer.spec.misfits import misfits, without
from composer.spec.model import (
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
        plain = without(plain, problem.path.split("."))
    try:
        return _checked(SpecFile.model_validate(plain), origin, problems, check)
    except ValidationError:
        return None, problems


def _checked(
    content: SpecFile, origin: Origin, before: list[Diagnostic], check: Check
) -> tuple[SpecFile, list[Diagnostic]]:
    """The model and all problems, those known before first. Problems within a known problem's part are dropped."""
    found = islice(chain(check(content, origin), _of_training(content, origin)), MAX_FOUND)
    around = [one.path for one in before]
    return content, [*before, *(one for one in found if not any(_is_within(path, one.path) for path in around))]


def _of_training(content: SpecFile, origin: Origin) -> Iterator[Diagnostic]:
    """The problems of how the network is trained. Few specs say it, so what reads it is imported only for them."""
    if content.train is not None:
        from composer.spec.recipe_check import recipe_problems

        yield from recipe_problems(content.train, origin / "train")


def _names_something(steps: list[str]) -> bool:
    """Whether other parts refer to the value at this path by name, so that it must not be left out."""
    sections = ("nodes", "blocks", "vars", "args", "inputs", "input")
    return steps[-1] in sections or steps[-2:-1] in (["nodes"], ["blocks"])


def _is_within(path: str, outer: str) -> bool:
    return not outer or path == outer or path.startswith(f"{outer}.")


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
