"""The parameters of a copied class or function: which a call gives, which are constant, which go."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from composer.ejecting.fold import NO, value_of
from composer.ejecting.tree import same


def arguments_of(call: ast.Call, parameters: ast.arguments) -> Mapping[str, ast.expr] | None:
    """Parameter -> its argument in a call, without `self`; None if the call unpacks."""
    names = [one.arg for one in (*parameters.posonlyargs, *parameters.args) if one.arg != "self"]
    if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
        return None
    if parameters.vararg or parameters.kwarg or len(call.args) > len(names):
        return None
    found = dict(zip(names, call.args, strict=False))
    return found | {one.arg: one.value for one in call.keywords if one.arg is not None}


def defaults_of(parameters: ast.arguments) -> dict[str, ast.expr]:
    """Parameter -> its default."""
    names = [one.arg for one in (*parameters.posonlyargs, *parameters.args)]
    found = dict(zip(names[len(names) - len(parameters.defaults) :], parameters.defaults, strict=True))
    keyword = zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)
    return found | {one.arg: value for one, value in keyword if value is not None}


def without(parameters: ast.arguments, names: Iterable[str]) -> None:
    """Remove parameters."""
    dropped = set(names)
    defaults = defaults_of(parameters)
    parameters.args = [one for one in parameters.args if one.arg not in dropped]
    parameters.defaults = [defaults[one.arg] for one in parameters.args if one.arg in defaults]
    kept = [one for one in parameters.kwonlyargs if one.arg not in dropped]
    parameters.kw_defaults = [defaults.get(one.arg) for one in kept]
    parameters.kwonlyargs = kept


def constants_of(sites: list[Mapping[str, Any]], parameters: ast.arguments) -> tuple[dict[str, Any], set[str]]:
    """The parameters that every call gives the same switch or word, and those that none gives None."""
    defaults = defaults_of(parameters)
    keyword = {one.arg for one in parameters.kwonlyargs}
    constants: dict[str, Any] = {}
    given: set[str] = set()
    for one in (*parameters.args, *parameters.kwonlyargs):
        name = one.arg
        if name == "self" or not sites:
            continue
        values = [_value(site[name]) if name in site else value_of(defaults.get(name)) for site in sites]
        if all(value is not NO and value is not None for value in values):
            given.add(name)
        first = values[0]
        if first is NO or not all(value is not NO and same(value, first) for value in values):
            continue
        off = isinstance(first, int | float) and not first
        if first is None or isinstance(first, bool | str) or off or (name not in keyword and name in defaults):
            constants[name] = first
    return constants, given


def narrow(parameters: ast.arguments | None, given: set[str]) -> None:
    """Parameters that are never None are not said to be, and have no default None."""
    if parameters is None:
        return
    defaults = defaults_of(parameters)
    none = {name for name, value in defaults.items() if name in given and value_of(value) is None}
    plain = [one.arg for one in parameters.args if one.arg in defaults]
    # One without a default cannot follow one with.
    bare = none - set(plain) if set(plain) - none else none
    for one in (*parameters.args, *parameters.kwonlyargs):
        if one.arg in given and (one.arg not in none or one.arg in bare) and one.annotation is not None:
            kinds = [kind for kind in ast.unparse(one.annotation).split(" | ") if kind != "None"]
            one.annotation = ast.parse(" | ".join(kinds), mode="eval").body
    parameters.defaults = [defaults[name] for name in plain if name not in bare]
    parameters.kw_defaults = [None if one.arg in bare else defaults.get(one.arg) for one in parameters.kwonlyargs]


def _value(given: Any) -> Any:
    return value_of(given) if isinstance(given, ast.AST) else given


def drop_unread(node: ast.FunctionDef | None) -> None:
    """Remove parameters that nothing reads."""
    if node is None:
        return
    read_names = {one.id for statement in node.body for one in ast.walk(statement) if isinstance(one, ast.Name)}
    names = [one.arg for one in (*node.args.args, *node.args.kwonlyargs) if one.arg != "self"]
    without(node.args, [name for name in names if name not in read_names])
