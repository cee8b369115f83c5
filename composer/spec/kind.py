"""Kinds of vars: which values may replace a default. The default shows the kind, or a declaration states it.

A declaration is written in place of the default: `{default: 1000, minimum: 0}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from composer.errors import Diagnostic, did_you_mean, one_of
from composer.spec.evaluate import show
from composer.spec.expression import is_dynamic
from composer.spec.origin import Origin

# Keys of a declaration. A mapping with the key `default` is a declaration.
DECLARATION = ("default", "kind", "minimum", "maximum", "choices", "needs", "description")
# Kind, as JSON Schema names it -> its name in messages, singular and plural.
WORDS = {
    "boolean": ("true or false", "true or false"),
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "string": ("a string", "strings"),
    "list": ("a list", "lists"),
    "mapping": ("a mapping", "mappings"),
}
_IN_SCHEMA = {"list": "array", "mapping": "object"}


@dataclass(frozen=True)
class Kind:
    """The values that a var may hold.

    name         `boolean integer number string list mapping`; None for any value
    items        the kind of each item of a list
    minimum      smallest value; for a list, of each item
    maximum      largest value; for a list, of each item
    choices      the allowed values; for a list, of each item; empty for any
    nullable     whether null is allowed
    description  what the var means, if its declaration says so
    """

    name: str | None = None
    items: Kind | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    nullable: bool = False
    description: str = ""

    def __str__(self) -> str:
        """The kind as messages write it."""
        if self.choices:
            return f"{one_of(map(show, self.choices))}{' or null' * self.nullable}"
        if self.name == "list" and self.items and self.items.name:
            item = self.items
            return f"a list of {item._bounded(WORDS[str(item.name)][1])}"
        return self._bounded(WORDS[self.name][0]) + " or null" * self.nullable if self.name else "a value"

    def _bounded(self, words: str) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f"{words} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{words} from {self.minimum:g} on"
        return f"{words} up to {self.maximum:g}" if self.maximum is not None else words

    def schema(self) -> dict[str, Any]:
        """The kind as JSON Schema."""
        if self.choices:
            return {"enum": [*self.choices, *[None] * self.nullable]}
        found: dict[str, Any] = {"type": _IN_SCHEMA.get(self.name, self.name)} if self.name else {}
        found |= {"items": self.items.schema()} if self.items and self.items.name else {}
        found |= {key: getattr(self, key) for key in ("minimum", "maximum") if getattr(self, key) is not None}
        return {"anyOf": [found, {"type": "null"}]} if self.nullable and found else found


def is_declaration(value: Any) -> bool:
    """Whether the value that a spec writes for a var is a declaration."""
    return isinstance(value, Mapping) and "default" in value


def default_origin(written: Any, origin: Origin) -> Origin:
    """Where the default of the var written here is."""
    return origin / "default" if is_declaration(written) else origin


def check_declaration(name: str, written: Any, origin: Origin) -> Iterator[Diagnostic]:
    """Problems with the declaration of a var, without its default."""
    if not is_declaration(written):
        return
    for key in written:
        if key not in DECLARATION:
            help = did_you_mean(key, DECLARATION, f"a declared var has {one_of(DECLARATION)}")
            yield (origin / key).problem("unknown-key", f"unknown key `{key}`", "not a key of a var", help, key=True)
    messages = {
        "kind": (f"there is no kind {show(written.get('kind'))}", one_of(WORDS)),
        "minimum": (f"`minimum` of `{name}` is {show(written.get('minimum'))}", "a number"),
        "maximum": (f"`maximum` of `{name}` is {show(written.get('maximum'))}", "a number"),
        "choices": (f"`choices` of `{name}` are no list of values", "`[a, b]`"),
        "needs": (f"`needs` of `{name}` are no vars with values", "`{other: value}`"),
        "description": (f"`description` of `{name}` is no text", "what the var means"),
    }
    for key, (text, label) in messages.items():
        if key in written and not _is_sound(key, written[key]):
            yield (origin / key).problem("var-kind", text, label)


def _is_sound(key: str, value: Any) -> bool:
    """Whether a key of a declaration may have this value."""
    if key == "kind":
        return isinstance(value, str) and value in WORDS
    if key == "choices":
        return isinstance(value, list) and bool(value) and not any(isinstance(one, list | dict) for one in value)
    if key == "needs":
        return isinstance(value, dict) and bool(value)
    if key == "description":
        return isinstance(value, str)
    return key == "default" or _is_number(value)


def kind_of(written: Any, default: Any) -> Kind:
    """The kind of a var: from what the spec writes for it, if that is sound, and from its evaluated default."""
    declared = written if is_declaration(written) else {}
    value = declared.get("default", written)
    declared = {key: value for key, value in declared.items() if key in DECLARATION and _is_sound(key, value)}
    kind = Kind(declared["kind"]) if "kind" in declared else _shown(default)
    if any(is_dynamic(text) for text in _texts(value)):
        kind = _loose(kind)
    limits = {key: declared[key] for key in ("minimum", "maximum") if key in declared}
    limits |= {"choices": tuple(declared["choices"])} if "choices" in declared else {}
    if kind.name == "list" and limits:
        kind, limits = replace(kind, items=replace(kind.items or Kind(), **limits)), {}
    limits |= {"description": " ".join(declared.get("description", "").split())}
    return replace(kind, **limits, nullable=default is None and bool(declared))


def _texts(value: Any) -> Iterator[str]:
    """Every string inside a plain value."""
    if isinstance(value, str):
        yield value
    for child in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from _texts(child)


def _shown(value: Any) -> Kind:
    """The kind of a value. A lone whole number counts as an integer."""
    if isinstance(value, list):
        return Kind("list", _common([_shown(item) for item in value]))
    for types, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (dict, "mapping")):
        if isinstance(value, types):
            return Kind(name)
    return Kind()


def _common(kinds: Sequence[Kind]) -> Kind:
    """The kind that holds the values of all these kinds; any value if the kinds differ."""
    names = {kind.name for kind in kinds}
    if names == {"list"}:
        return Kind("list", _common([kind.items or Kind() for kind in kinds]))
    if names == {"integer", "number"}:
        return Kind("number")
    return kinds[0] if len(names) == 1 else Kind()


def _loose(kind: Kind) -> Kind:
    """The kind of a computed default: a number, if the result is an integer, which may be by chance."""
    items = _loose(kind.items) if kind.items else None
    return replace(kind, name="number" if kind.name == "integer" else kind.name, items=items)


def misfits(name: str, value: Any, kind: Kind, origin: Origin) -> Iterator[Diagnostic]:
    """Problems with a var's value, at the line that sets it; in a list, at each item that does not fit."""
    if value is None and not kind.nullable and kind.name is not None:
        help = ("write a value, or remove the line",)
        yield origin.problem("var-kind", f"`{name}` has no value", str(kind), help, key=True)
    elif kind.name == "list" and kind.items and isinstance(value, list):
        for index, item in enumerate(value):
            yield from misfits(f"{name}[{index}]", item, kind.items, origin / index)
    elif not (fits(value, kind) or (value is None and kind.nullable)):
        yield origin.problem("var-kind", f"`{name}` is {found(value)}", str(kind), _advice(value, kind))


def unmet(
    name: str, value: Any, default: Any, written: Any, vars: Mapping[str, Any], origin: Origin
) -> Diagnostic | None:
    """The problem with a var that is set although no part reads it, because a var that it needs differs; else None.

    written  the declaration of the var; vars  the vars settled before it
    """
    needs = written.get("needs") if is_declaration(written) else None
    if value == default or not isinstance(needs, Mapping):
        return None
    for other, wanted in needs.items():
        if other in vars and vars[other] != wanted:
            text = f"`{name}` is {show(value)}, which nothing reads where `{other}` is {show(vars[other])}"
            return origin.problem("var-kind", text, f"{show(default)}, or `{other}: {wanted}`")
    return None


def fits(value: Any, kind: Kind) -> bool:
    """Whether a single value is of this kind and within its limits."""
    if kind.choices:
        return any(value == one and type(value) is type(one) for one in kind.choices)
    types: Mapping[str | None, Any] = {"boolean": bool, "string": str, "list": list, "mapping": dict}
    if kind.name in types:
        return isinstance(value, types[kind.name])
    if kind.name is None:
        return True
    whole = isinstance(value, int) or kind.name == "number"
    low, high = kind.minimum, kind.maximum
    return _is_number(value) and whole and (low is None or value >= low) and (high is None or value <= high)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _advice(value: Any, kind: Kind) -> tuple[str, ...]:
    if kind.choices:
        return did_you_mean(value, [one for one in kind.choices if isinstance(one, str)])
    if kind.name in ("integer", "number") and isinstance(value, float) and math.isfinite(value) and value == int(value):
        return (f"write `{int(value)}`",) if kind.name == "integer" else ()
    if kind.name in ("integer", "number") and isinstance(value, str) and value.replace(".", "", 1).isdecimal():
        return ("without the quotes it is a number",)
    if kind.name == "boolean":
        return boolean_advice(value)
    if kind.name == "list" and value is not None and not isinstance(value, dict):
        return (f"write `[{show(value)}]`",)
    return ()


def boolean_advice(value: Any) -> tuple[str, ...]:
    """What to write in place of a word that means true or false elsewhere: YAML 1.2 has only `true` and `false`."""
    spelled = {"no": "false", "off": "false", "n": "false", "yes": "true", "on": "true", "y": "true"}
    spelled |= {"0": "false", "1": "true", "true": "true", "false": "false"}
    meant = spelled.get(str(value).lower())
    return (f"write `{meant}`",) if meant and not isinstance(value, bool) else ()


def found(value: Any) -> str:
    """A value of the wrong kind, in words."""
    if isinstance(value, str):
        return f"the string {show(value)}"
    if value is None or isinstance(value, bool):
        return show(value)
    if isinstance(value, int | float):
        return f"the number {show(value)}"
    return "a list" if isinstance(value, list) else "a mapping"
