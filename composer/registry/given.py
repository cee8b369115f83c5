"""Reads and checks a class or function that is being registered, and makes its entry."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from composer.errors import Location, one_of, suggest
from composer.options import options_model, read_signature
from composer.registry.definition import arity, forward_tensors, is_own, made, misuse, plugin_of
from composer.registry.entry import (
    APPLIED,
    APPLIED_BY_KIND,
    CONV_FACTS,
    FACTS,
    RESERVED_OPTIONS,
    MacsRule,
    ModuleEntry,
    ShapeRule,
    facts_of_others,
)
from composer.registry.rules import check_rule
from composer.registry.state import loading

Found = TypeVar("Found")
# Only what replaces a convolution has settings.
NO_SETTINGS = options_model("no settings", {})


class Given:
    """A class or function that is being registered, and its signature. Raises PluginError if it breaks the contract."""

    def __init__(self, name: str, kind: str, factory: Callable[..., Any], where: Location) -> None:
        self.name, self.kind, self.factory, self.where = name, kind, factory, where
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise misuse(
                where, str(name), "a name is lower-case letters, digits and `_`", "a name such as `pixel_gate`"
            )
        self.signature = self.checked(lambda: read_signature(factory, name))
        self.module = factory if isinstance(factory, type) else made(self.signature.returns)
        for option in self.signature.options.model_fields:
            if option in RESERVED_OPTIONS:
                raise misuse(where, name, f"option `{option}` is a word of the spec language", "another name")

    def checked(self, read: Callable[[], Found]) -> Found:
        """The result of `read`. Raises PluginError for its TypeError or ValueError."""
        try:
            return read()
        except (TypeError, ValueError) as problem:
            raise misuse(self.where, self.name, str(problem), "see `Writing a plugin` in the README") from problem

    @property
    def is_function(self) -> bool:
        """Whether the factory is a function of tensors."""
        return self.module is None and self.kind != "parameter"

    @property
    def arguments(self) -> list[str]:
        """Names of all arguments of the factory, without tensors."""
        return [*(self.signature.given if self.module is not None else ()), *self.signature.options.model_fields]

    def declared(self, shape: ShapeRule | None, macs: MacsRule | None) -> dict[str, Any]:
        """The given rules by name: `shape`, `macs`. Raises PluginError for a wrong rule."""
        found = {word: rule for word, rule in (("shape", shape), ("macs", macs)) if rule is not None}
        for word, rule in found.items():
            if self.module is None and not self.is_function:
                text = f"`{word}` is for what takes tensors, a parameter takes none"
                raise misuse(self.where, self.name, text, "leave it out")
            check_rule(self.name, word, rule, self.arguments, self.where)
        return found

    def checked_applied(self, applied: str | None) -> str | None:
        """How the values of its attention are applied: `applied` if given, else the default of its kind."""
        if applied is None:
            return APPLIED_BY_KIND.get(self.kind)
        if applied not in APPLIED:
            raise misuse(self.where, self.name, f"unknown applied `{applied}`", one_of(APPLIED))
        if not hasattr(self.factory, "attention"):
            text = "`applied` says what becomes of `attention(x)`, and it has no such method"
            raise misuse(self.where, self.name, text, "a method `attention`")
        return applied

    def common(self, tensors: Mapping[str, Any], variadic: bool = False) -> dict[str, Any]:
        """The fields that every entry has, for the tensors that it takes: name -> default."""
        return {
            "name": self.name,
            "kind": self.kind,
            "factory": self.factory,
            "options": self.signature.options,
            "inputs": arity(tensors, variadic),
            "tensors": tuple(tensors),
            "plugin": loading.get() or plugin_of(self.factory),
            "file": self.where.source.name,
            "line": self.where.line,
        }

    def module_entry(self, **more: Any) -> ModuleEntry:
        """The ModuleEntry, with `more` as further fields. Raises PluginError."""
        assert self.module is not None
        module, facts = self.module, self.signature.given
        tensors, variadic = self.checked(lambda: forward_tensors(module))
        if self.signature.variadic:
            raise misuse(self.where, self.name, "`*args` in `__init__`", "facts by name before a bare `*`")
        known = (*FACTS, *facts_of_others(tuple(tensors)))
        for fact in facts:
            if fact not in known:
                nearest = f"; did you mean `{suggest(fact, known)}`?" if suggest(fact, known) else ""
                text = f"`{fact}` stands before `*` but is not a fact of a place{nearest}"
                expected = f"one of {one_of(known, 24)}, or move it behind `*` to make it an option"
                raise misuse(self.where, self.name, text, expected)
        settings = {
            fact: (self.signature.hints[fact], ... if default is inspect.Parameter.empty else default)
            for fact, default in facts.items()
            if fact in CONV_FACTS and fact != "in_channels"
        }
        late = is_own(self.factory)
        model = NO_SETTINGS
        if settings:
            model = self.checked(lambda: options_model(f"{self.name} settings", settings, late=late))
        return ModuleEntry(**self.common(tensors, variadic), module=module, facts=facts, settings=model, **more)
