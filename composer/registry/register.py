"""The decorators that put a mechanism or a layer into the registry."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from composer.errors import Location, one_of, suggest
from composer.options import SignatureProblem, options_model, read_signature
from composer.registry.definition import arity, definition, forward_arity, identity, made, misuse, plugin_of
from composer.registry.entry import (
    CONV_FACTS,
    FACTS,
    LAYER_KINDS,
    MECHANISM_KINDS,
    POSITIONS,
    REPLACEABLE,
    RESERVED_OPTIONS,
    CodeRule,
    Entry,
    FunctionEntry,
    LayoutRule,
    ModuleEntry,
    ParameterEntry,
    PlaceRule,
    Target,
)
from composer.registry.state import loading, state

Found = TypeVar("Found")


def mechanism(
    name: str,
    *,
    kind: str,
    layout: str | None = None,
    replaces: Literal["conv", "conv-norm-act", "conv-or-linear"] | None = None,
    place: PlaceRule | Sequence[PlaceRule] = (),
) -> Callable[[Target], Target]:
    """Register an nn.Module class as an attention mechanism.

    Parameters of `__init__` before `*` are facts of the place (`FACTS`); those after it are options of the spec,
    checked against their type hints.

    name      what specs call it: lower-case letters, digits and `_`
    kind      `channel`, `spatial`, `channel+spatial`, `branch`, `kernel` or `token`
    layout    the axes, as in einops, of what it takes and gives: `b c h w` unless given, or `b n c` of kind `token`.
              One of tokens, put at a map, gets the map as tokens, and what it gives is made a map again
    replaces  what it can stand in for, whose facts (`out_channels`, `kernel_size`, `stride` …) it then may ask for
              before `*`: `conv`, a convolution; `conv-norm-act`, the norm and the activation behind that as well,
              where it brings its own; `conv-or-linear`, a linear layer too. Unless given it is put before, after or
              beside a place, or replaces what keeps its shape
    place     where it goes when nobody says where, in the words of a rule, or several of which a network has the
              first; without it the kind decides (`composer.dag.default_place`)
    Raises PluginError, naming file and line, for anything the contract does not allow.
    """
    layout = layout or ("b n c" if kind == "token" else "b c h w")
    places: tuple[PlaceRule, ...] = (place,) if isinstance(place, Mapping) else tuple(place)

    def register(factory: Target) -> Target:
        where = definition(factory)
        if kind not in MECHANISM_KINDS:
            raise misuse(where, name, f"unknown kind `{kind}`", one_of(MECHANISM_KINDS))
        if replaces not in (None, *REPLACEABLE):
            raise misuse(where, name, f"unknown replaces `{replaces}`", one_of(REPLACEABLE))
        if not isinstance(factory, type):
            raise misuse(where, name, "a mechanism must be an nn.Module class", "a class, as in examples/")
        for one in places:
            _check_place(name, one, where)
        given = _Given(name, kind, factory, where)
        _enter(given.module_entry(works_on=layout, replaces=replaces, places=places), where)
        return factory

    return register


def layer(
    name: str, *, kind: str = "other", layout: LayoutRule = None, code: CodeRule | None = None
) -> Callable[[Target], Target]:
    """Register a building block: an nn.Module class, a function that makes a module (its return type says which), a
    function of tensors, or a function that makes a parameter.

    Of what makes a module, parameters before `*` are facts and those after it options; of a function of tensors,
    parameters before `*` are the tensors it takes.
    `layout` is what happens to the einops layout of the first input: None keeps it, `"b c h w -> b c"` asks for one
    and gives another, and a function `(inputs, **options) -> layout` may look at the inputs (each with `.shape`,
    `.layout`, `.channels` …) and raise ValueError for what does not fit.
    `code`, of a function of tensors, is `(names, inputs, **options) -> expression`: what a generated forward writes
    in place of a call, such as `a + b`.
    Raises PluginError, naming file and line, for anything the contract does not allow.
    """

    def register(factory: Target) -> Target:
        where = definition(factory)
        if kind not in LAYER_KINDS:
            raise misuse(where, name, f"unknown kind `{kind}`", one_of(LAYER_KINDS))
        given = _Given(name, kind, factory, where)
        if code is not None and not given.is_function:
            raise misuse(where, name, "`code` is for a function of tensors", "leave it out")
        if given.module is not None:
            entry: Entry = given.module_entry(layout_rule=layout)
        elif kind == "parameter":
            entry = ParameterEntry(**given.common((0, 0)), layout_rule=layout)
        else:
            inputs = arity(given.signature.given, given.signature.variadic)
            entry = FunctionEntry(**given.common(inputs), layout_rule=layout, code=code)
        _enter(entry, where)
        return factory

    return register


class _Given:
    """What is registered, and what its signature says. Raises PluginError for what the contract does not allow."""

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
        """What is read of it. Raises PluginError where that cannot be read."""
        try:
            return read()
        except (SignatureProblem, TypeError, ValueError) as problem:
            raise misuse(self.where, self.name, str(problem), "see `Writing a plugin` in the README") from problem

    @property
    def is_function(self) -> bool:
        """Whether it is a function of tensors."""
        return self.module is None and self.kind != "parameter"

    def common(self, inputs: tuple[int, int | None]) -> dict[str, Any]:
        """What every entry has."""
        return {
            "name": self.name,
            "kind": self.kind,
            "factory": self.factory,
            "options": self.signature.options,
            "inputs": inputs,
            "plugin": loading.get() or plugin_of(self.factory),
            "file": self.where.source.name,
            "line": self.where.line,
        }

    def module_entry(self, **more: Any) -> ModuleEntry:
        """The entry of a module, with more of its fields."""
        assert self.module is not None
        module, facts = self.module, self.signature.given
        inputs = self.checked(lambda: forward_arity(module))
        if self.signature.variadic:
            raise misuse(self.where, self.name, "`*args` in `__init__`", "facts by name before a bare `*`")
        for fact in facts:
            if fact not in FACTS:
                nearest = f"; did you mean `{suggest(fact, FACTS)}`?" if suggest(fact, FACTS) else ""
                text = f"`{fact}` stands before `*` but is not a fact of a place{nearest}"
                expected = f"one of {one_of(FACTS)}, or move it behind `*` to make it an option"
                raise misuse(self.where, self.name, text, expected)
        settings = {
            fact: (self.signature.hints[fact], ... if default is inspect.Parameter.empty else default)
            for fact, default in facts.items()
            if fact in CONV_FACTS and fact != "in_channels"
        }
        model = self.checked(lambda: options_model(f"{self.name} settings", settings))
        return ModuleEntry(**self.common(inputs), module=module, facts=facts, settings=model, **more)


def _enter(entry: Entry, where: Location) -> None:
    """Put an entry into the registry. Raises PluginError where its name is taken."""
    with state.lock:
        taken = state.entries.get(entry.name)
        # The same definition again is a reload (a notebook cell run twice), not a second claim to the name.
        if taken is not None and identity(taken.factory) != identity(entry.factory):
            raise misuse(where, entry.name, f"the name is taken by {taken.file}:{taken.line}", "another name")
        state.entries[entry.name] = entry
        state.plugins.setdefault(entry.plugin.name, entry.plugin)


def _check_place(name: str, place: PlaceRule, where: Location) -> None:
    words = [*POSITIONS, "where"]
    if unknown := [word for word in place if word not in words]:
        raise misuse(where, name, f"`{unknown[0]}` in its place", one_of(words))
    if sum(word in place for word in POSITIONS) != 1:
        raise misuse(where, name, f"its place {dict(place)} has not one position", f"one of {one_of(POSITIONS)}")
    if not all(isinstance(text, str) for text in place.values()):
        raise misuse(where, name, f"its place {dict(place)} holds more than text", "`{'after': 'stage'}`")
