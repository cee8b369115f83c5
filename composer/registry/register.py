"""The decorators that put a mechanism or a layer into the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from composer.errors import Location, one_of
from composer.registry.definition import arity, definition, identity, misuse
from composer.registry.entry import (
    LAYER_KINDS,
    MECHANISM_KINDS,
    POSITIONS,
    REPLACEABLE,
    CodeRule,
    Entry,
    FunctionEntry,
    LayoutRule,
    MacsRule,
    ParameterEntry,
    PlaceRule,
    ShapeRule,
    Target,
)
from composer.registry.given import Given
from composer.registry.rules import check_reference
from composer.registry.state import state


def mechanism(
    name: str,
    *,
    kind: str,
    layout: str | None = None,
    replaces: Literal["conv", "conv-norm-act", "conv-or-linear"] | None = None,
    place: PlaceRule | Sequence[PlaceRule] = (),
    applied: Literal["gate", "1 + gate", "branches", "experts", "positions"] | None = None,
    shape: ShapeRule | None = None,
    macs: MacsRule | None = None,
    reference: Callable[..., Any] | None = None,
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
    applied   how the values of its method `attention(x)` are applied: `gate` multiplies by them, `1 + gate` too, and
              they lie between 1 and 2; `branches` are shares of branches that are summed, `experts` weights of kernels
              that are mixed, `positions` weights of positions that are averaged. Unless given the kind says it
    shape     for what cannot run on meta tensors, such as a kernel of another library: `(inputs, …) -> shape`, what it
              gives at the batch of its inputs, each with `.shape`, `.layout`, `.channels` …; ValueError says that they
              do not fit. Further parameters are facts and options, by name. It is still made on the meta device
    macs      likewise `(inputs, …) -> int`, the multiply-accumulates of one example, where PyTorch's counter does not
              know them. Of a plugin's that has parameters and does nothing that is counted, they are unknown without
    reference the plain formula of a kernel: an nn.Module class that is made with the same arguments and takes the same
              state_dict, or a function `(module, x)`. `composer check` compares outputs and gradients with it
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
        given = Given(name, kind, factory, where)
        entry = given.module_entry(
            works_on=layout,
            replaces=replaces,
            places=places,
            applied=given.checked_applied(applied),
            reference=reference,
            **given.declared(shape, macs),
        )
        if reference is not None:
            check_reference(name, reference, given.arguments, entry.inputs[0], where)
        _enter(entry, where)
        return factory

    return register


def layer(
    name: str,
    *,
    kind: str = "other",
    layout: LayoutRule = None,
    code: CodeRule | None = None,
    applied: Literal["gate", "1 + gate", "branches", "experts", "positions"] | None = None,
    shape: ShapeRule | None = None,
    macs: MacsRule | None = None,
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
    `applied`, of a class with a method `attention`, `shape` and `macs` are as of a `mechanism`.
    Raises PluginError, naming file and line, for anything the contract does not allow.
    """

    def register(factory: Target) -> Target:
        where = definition(factory)
        if kind not in LAYER_KINDS:
            raise misuse(where, name, f"unknown kind `{kind}`", one_of(LAYER_KINDS))
        given = Given(name, kind, factory, where)
        if code is not None and not given.is_function:
            raise misuse(where, name, "`code` is for a function of tensors", "leave it out")
        more = {"layout_rule": layout, **given.declared(shape, macs)}
        if given.module is not None:
            entry: Entry = given.module_entry(applied=given.checked_applied(applied), **more)
        elif applied is not None:
            raise misuse(where, name, "`applied` is for a class with a method `attention`", "leave it out")
        elif given.is_function:
            inputs = arity(given.signature.given, given.signature.variadic)
            entry = FunctionEntry(**given.common(inputs), code=code, **more)
        else:
            entry = ParameterEntry(**given.common((0, 0)), **more)
        _enter(entry, where)
        return factory

    return register


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
