"""Changes from outside: `--set path=value`, and the `vars` that Python passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from composer.errors import Diagnostic, Location, Source, SpecError
from composer.spec.document import MAX_DEPTH, Document, Value
from composer.spec.yaml import read_value


@dataclass(frozen=True)
class Setting:
    """A value for a dotted path."""

    steps: tuple[str, ...]
    value: Value


def read_settings(vars: Mapping[str, Any], sets: Iterable[str]) -> tuple[Setting, ...]:
    """`vars` and `sets` as Settings, vars first. Raises SpecError."""
    if not isinstance(vars, Mapping):
        text, help = f"`vars` is of type `{type(vars).__name__}`", ("such as `vars={'num_classes': 10}`",)
        raise SpecError(Diagnostic("set", text, label="a mapping of names to values", help=help))
    given = Document.from_mapping({"vars": vars}, "<vars>").root.data["vars"].data
    return (*(Setting(("vars", name), value) for name, value in given.items()), *map(_read_setting, sets))


def _read_setting(text: str) -> Setting:
    source = Source("--set", text)
    key, equals, _ = text.partition("=")
    whole = Location(source, 1, 1, max(1, len(key)) + 1)
    steps = tuple(step.strip() for step in key.split("."))
    if not equals or not all(steps) or len(steps) > MAX_DEPTH:
        help = ("for example `vars.num_classes=10`",)
        raise SpecError(Diagnostic("set", f"cannot read the setting `{text}`", whole, label="`path=value`", help=help))
    return Setting(steps, replace(read_value(source, len(key) + 1), key_location=whole))


def apply_settings(document: Document, settings: Iterable[Setting]) -> Document:
    """The document with all settings applied except vars, which may belong to another file."""
    for setting in settings:
        if not is_var(setting):
            document = replace(document, root=document.root.with_value(setting.steps, setting.value))
    return document


def is_var(setting: Setting) -> bool:
    """Whether a setting changes a var or a part of a var."""
    return setting.steps[0] == "vars" and len(setting.steps) > 1
