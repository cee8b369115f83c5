"""The decorators that put a mechanism or a layer into the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from composer.errors import Location, one_of
from composer.finding import GROUPS
from composer.registry.definition import definition, identity, misuse
from composer.registry.entry import (
    ANY_MAP,
    GROUP_BY_KIND,
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
from composer.registry.grid import GridRule
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
    prefix: bool = False,
    group: str | None = None,
    aliases: Sequence[str] = (),
) -> Callable[[Target], Target]:
    """Register an nn.Module class as an attention mechanism.

    Returns a decorator that returns the class unchanged. Parameters of `__init__` before `*` are facts of the place
    (`FACTS`); parameters after `*` are options of the spec, checked against their type hints.

    name      the name in specs: lower-case letters, digits and `_`
    kind      `channel`, `spatial`, `channel+spatial`, `branch`, `kernel`, `token`, or `fusion` for several tensors
    layout    einops axes of input and output; default `b n c` for kind `token`, else `b c h w`. At a map, a mechanism
              with layout `b n c` gets the map as tokens, and its output becomes a map again; at tokens whose grid is
              known, one with layout `b c h w` gets their map, and prefix tokens (class, registers) pass by. `b c *` is
              any of `b c l`, `b c h w` and `b c t h w`; take the fact `spatial_dims`, 1, 2 or 3
    replaces  the layers that it can replace, whose facts (`out_channels`, `kernel_size`, `stride` …) it may take before
              `*`: `conv`, a convolution; `conv-norm-act`, also the norm and the activation after the convolution, if
              it has its own; `conv-or-linear`, a convolution or a linear layer. Without `replaces`, it goes before,
              after or beside a place, or replaces a node that keeps its shape
    place     the default place, with the keys of a rule; or several places, of which the first that a network has is
              used. Without `place`, the kind decides (`composer.dag.rules.default_place`)
    applied   how the values of its method `attention(x)` are applied. `gate`: factors, in a fusion those of one of its
              tensors; `1 + gate`: factors between 1 and 2; `branches`: shares of summed branches; `experts`: weights of
              mixed kernels; `positions`: weights of averaged positions. The default depends on the kind
    shape     `(inputs, …) -> shape`: the output shape at the batch size of the inputs, for a mechanism that cannot run
              on meta tensors, such as a kernel of another library. Inputs have `.shape`, `.layout`, `.channels` …;
              further parameters are facts and options by name; ValueError refuses the inputs. The mechanism is still
              made on the meta device
    macs      `(inputs, …) -> int`, as `shape`: multiply-accumulates per example, if PyTorch's counter cannot find
              them. Without `macs`, they are unknown for a plugin's mechanism that has parameters but counts as 0
    reference the plain formula of a kernel: an nn.Module class with the same arguments and state_dict, or a function
              `(module, x)`. `composer check` compares outputs and gradients with it
    prefix    kind `channel`, on maps: at tokens, the prefix tokens take part. It then gets all tokens, of whatever
              grid, as a map with a single column, b c n 1
    group     where `composer list mechanisms` shows it, one of `GROUPS`: `channel`, `spatial`, `both`, `global` (what
              a position learns from all others), `kernel` (in place of a convolution), `token`, `fusion`. The default
              is that of the kind, and `kernel` for one that replaces convolutions
    aliases   other names that people use for it, such as `squeeze and excitation`. A spec cannot use them; a search and
              the message for an unknown name find it by them, and by words of its docstring
    Raises PluginError, with file and line, if the class or an argument breaks the contract.
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
        if prefix and (kind != "channel" or layout not in ("b c h w", ANY_MAP)):
            text = "`prefix` puts all tokens into one column, where rows and columns have no meaning"
            raise misuse(where, name, text, "a mechanism of kind `channel` on `b c h w`")
        if group not in (None, *GROUPS):
            raise misuse(where, name, f"unknown group `{group}`", one_of(GROUPS))
        given = Given(name, kind, factory, where)
        entry = given.module_entry(
            group=group or ("kernel" if replaces else GROUP_BY_KIND.get(kind, kind)),
            aliases=tuple(aliases),
            works_on=layout,
            replaces=replaces,
            places=places,
            applied=given.checked_applied(applied),
            reference=reference,
            prefix=prefix,
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
    grid: GridRule | None = None,
    code: CodeRule | None = None,
    applied: Literal["gate", "1 + gate", "branches", "experts", "positions"] | None = None,
    shape: ShapeRule | None = None,
    macs: MacsRule | None = None,
    draws: bool = True,
) -> Callable[[Target], Target]:
    """Register a building block: an nn.Module class, a function with a module class as return type, a function of
    tensors, or (kind `parameter`) a function that makes a parameter.

    Returns a decorator that returns the class or function unchanged. Parameters before `*` are facts for a module, and
    the input tensors for a function of tensors; parameters after `*` are options of the spec.

    name    the name in specs: lower-case letters, digits and `_`
    kind    `conv`, `linear`, `norm`, `activation`, `pool`, `merge`, `shape`, `pad`, `token`, `parameter` or `other`
    layout  einops layout of the output: None, that of the first input; `"b c h w -> b c"`, required and resulting
            layout, where `b c *` is any of `b c l`, `b c h w` and `b c t h w`; or `(inputs, **options) -> layout`,
            where inputs have `.shape` … and ValueError refuses them
    grid    `(inputs, **options) -> (height, width, prefix)`: the map that the tokens of an output `b n c` come from,
            and the tokens before it; None for unknown. Inputs have `.grid` (None for unknown) and `.positions` (also
            of maps). By default, tokens stand where those of the first input stand, except in kind `shape`
    code    for a function of tensors: `(names, inputs, **options) -> expression` for a generated forward, as `a + b`
    applied, shape, macs  as for `mechanism`; `applied` needs a class with a method `attention`
    draws   False if making it draws no random numbers, which makes it faster
    Raises PluginError, with file and line, if the class, function or an argument breaks the contract.
    """

    def register(factory: Target) -> Target:
        where = definition(factory)
        if kind not in LAYER_KINDS:
            raise misuse(where, name, f"unknown kind `{kind}`", one_of(LAYER_KINDS))
        given = Given(name, kind, factory, where)
        if code is not None and not given.is_function:
            raise misuse(where, name, "`code` is for a function of tensors", "leave it out")
        more = {"layout_rule": layout, "grid_rule": grid, "draws": draws, **given.declared(shape, macs)}
        if given.module is not None:
            entry: Entry = given.module_entry(applied=given.checked_applied(applied), **more)
        elif applied is not None:
            raise misuse(where, name, "`applied` is for a class with a method `attention`", "leave it out")
        elif given.is_function:
            tensors = given.common(given.signature.given, given.signature.variadic)
            entry = FunctionEntry(**tensors, code=code, **more)
        else:
            entry = ParameterEntry(**given.common({}), **more)
        _enter(entry, where)
        return factory

    return register


def _enter(entry: Entry, where: Location) -> None:
    """Put an entry into the registry. Raises PluginError if its name is taken."""
    with state.lock:
        taken = state.entries.get(entry.name)
        # The same class or function again is a reload (a notebook cell run twice), which replaces the entry.
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
