"""The decorators that put a mechanism or a layer into the registry."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from composer.errors import Location, one_of, suggest
from composer.options import SignatureProblem, options_model, read_signature
from composer.registry.definition import arity, definition, identity, made, misuse, plugin_of
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
    Form,
    LayoutRule,
    PlaceRule,
    Target,
)
from composer.registry.state import loading, state


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
        _add(name, "mechanism", kind, factory, layout, where, replaces, places)
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
        _add(name, "layer", kind, factory, layout, where, code=code)
        return factory

    return register


def _add(
    name: str,
    category: Literal["mechanism", "layer"],
    kind: str,
    factory: Callable[..., Any],
    layout: LayoutRule,
    where: Location,
    replaces: str | None = None,
    places: Sequence[PlaceRule] = (),
    code: CodeRule | None = None,
) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise misuse(where, str(name), "a name is lower-case letters, digits and `_`", "a name such as `pixel_gate`")
    try:
        signature = read_signature(factory, name)
        module = factory if isinstance(factory, type) else made(signature.returns)
        form: Form = "module" if module else "parameter" if kind == "parameter" else "function"
        inputs = arity(module, signature.given, signature.variadic, form)
    except (SignatureProblem, TypeError, ValueError) as problem:
        raise misuse(where, name, str(problem), "see `Writing a plugin` in the README") from problem
    facts = signature.given if form == "module" else {}
    if form == "module" and signature.variadic:
        raise misuse(where, name, "`*args` in `__init__`", "facts by name before a bare `*`")
    for fact in facts:
        if fact not in FACTS:
            nearest = f"; did you mean `{suggest(fact, FACTS)}`?" if suggest(fact, FACTS) else ""
            text = f"`{fact}` stands before `*` but is not a fact of a place{nearest}"
            raise misuse(where, name, text, f"one of {one_of(FACTS)}, or move it behind `*` to make it an option")
    for option in signature.options.model_fields:
        if option in RESERVED_OPTIONS:
            raise misuse(where, name, f"option `{option}` is a word of the spec language", "another name")
    settings = {
        fact: (signature.hints[fact], ... if default is inspect.Parameter.empty else default)
        for fact, default in facts.items()
        if fact in CONV_FACTS and fact != "in_channels"
    }
    plugin = loading.get() or plugin_of(factory)
    entry = Entry(
        name=name,
        category=category,
        kind=kind,
        form=form,
        factory=factory,
        facts=facts,
        settings=options_model(f"{name} settings", settings),
        options=signature.options,
        inputs=inputs,
        layout=layout,
        replaces=replaces,
        places=places,
        plugin=plugin,
        file=where.source.name,
        line=where.line,
        module=module,
        code=code,
    )
    with state.lock:
        taken = state.entries.get(name)
        # The same definition again is a reload (a notebook cell run twice), not a second claim to the name.
        if taken is not None and identity(taken.factory) != identity(factory):
            raise misuse(where, name, f"the name is taken by {taken.file}:{taken.line}", "another name")
        state.entries[name] = entry
        state.plugins.setdefault(plugin.name, plugin)


def _check_place(name: str, place: PlaceRule, where: Location) -> None:
    words = [*POSITIONS, "where"]
    if unknown := [word for word in place if word not in words]:
        raise misuse(where, name, f"`{unknown[0]}` in its place", one_of(words))
    if sum(word in place for word in POSITIONS) != 1:
        raise misuse(where, name, f"its place {dict(place)} has not one position", f"one of {one_of(POSITIONS)}")
    if not all(isinstance(text, str) for text in place.values()):
        raise misuse(where, name, f"its place {dict(place)} holds more than text", "`{'after': 'stage'}`")
