"""Folds a copied class: options that a network sets alike go, and with them what is never reached."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection
from typing import Any

from torch import nn

from composer.ejecting.fold import NO, Folder, value_of
from composer.ejecting.parameters import without
from composer.ejecting.parts import attribute_pairs, drop_attributes, method_of
from composer.ejecting.statements import folded
from composer.ejecting.tree import same, signature_of

# Methods that are called from outside.
_ENTRIES = ("__init__", "forward", "reset_parameters", "anneal")


def fold_class(
    node: ast.ClassDef, constants: dict[str, Any], given: set[str], tables: Any, kept: Collection[str]
) -> None:
    """Fold a class whose `__init__` is called with these constants. Raises Unfoldable.

    constants  parameters -> the value that every call gives them
    given      parameters that are never None
    tables     as in Folder
    kept       attributes that others read, and `self.name` for those read of a layer
    """
    start = method_of(node, "__init__")
    attributes: dict[str, Any] = {}
    if start is not None:
        dropped = [*constants]
        folder = Folder(constants, {}, given, tables)
        start.body = folded(start.body, folder, checks=False)
        without(start.args, dropped)
        _name_freely(start.args)
        attributes = {name: value for name, value in _constant_attributes(node, start).items() if name not in kept}
    kinds = _kinds(node, start)
    for method in [one for one in node.body if isinstance(one, ast.FunctionDef)]:
        folder = Folder({}, attributes, set(), tables, kinds)
        method.body = folded(method.body, folder, checks=method.name != "__init__")
    drop_attributes(node, attributes)
    _without_identities(node)
    _prune(node, kept)
    _trim_calls(node)


def _name_freely(arguments: ast.arguments) -> None:
    """Let options be given without their names too, as other classes do, if that moves none."""
    defaults = arguments.kw_defaults
    if arguments.defaults and not all(defaults):
        return
    plain = [one for one, default in zip(arguments.kwonlyargs, defaults, strict=True) if default is None]
    others = [
        (one, default) for one, default in zip(arguments.kwonlyargs, defaults, strict=True) if default is not None
    ]
    arguments.args += [*plain, *(one for one, _ in others)]
    arguments.defaults += [default for _, default in others]
    arguments.kwonlyargs, arguments.kw_defaults = [], []


def _constant_attributes(node: ast.ClassDef, start: ast.FunctionDef) -> dict[str, Any]:
    """Attributes that are set once, at the end of `__init__` for sure, to a constant."""
    stores: dict[str, int] = {}
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store) and ast.unparse(one.value) == "self":
            stores[one.attr] = stores.get(one.attr, 0) + 1
    found: dict[str, Any] = {}
    for statement in start.body:
        for name, value in attribute_pairs(statement):
            constant_value = value_of(value)
            if constant_value is not NO and stores.get(name) == 1:
                found[name] = constant_value
    return found


def _kinds(node: ast.ClassDef, start: ast.FunctionDef | None) -> dict[str, str]:
    """Attributes that are set once, to a layer of PyTorch's -> its class."""
    stores: dict[str, int] = {}
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store):
            stores[one.attr] = stores.get(one.attr, 0) + 1
    return {
        name: ast.unparse(value.func)
        for statement in (start.body if start is not None else [])
        for name, value in attribute_pairs(statement)
        if isinstance(value, ast.Call) and ast.unparse(value.func).startswith("nn.") and stores.get(name) == 1
    }


def _without_identities(node: ast.ClassDef) -> None:
    """Leave out layers that are always an nn.Identity."""
    start = method_of(node, "__init__")
    if start is None:
        return
    stores: dict[str, int] = {}
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store):
            stores[one.attr] = stores.get(one.attr, 0) + 1
    names = {
        name
        for statement in start.body
        for name, value in attribute_pairs(statement)
        if isinstance(value, ast.Call) and ast.unparse(value) == "nn.Identity()" and stores[name] == 1
    }
    reads: dict[str, int] = {}
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Load) and ast.unparse(one.value) == "self":
            reads[one.attr] = reads.get(one.attr, 0) + 1
    called = Counter(
        one.func.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and len(one.args) == 1
        if ast.unparse(one.func.value) == "self"
    )
    names = {name for name in names if reads.get(name, 0) == called[name]}

    class Pass(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.AST:
            self.generic_visit(call)
            function = call.func
            if isinstance(function, ast.Attribute) and function.attr in names and len(call.args) == 1:
                return call.args[0]
            return call

    if names:
        Pass().visit(node)
        drop_attributes(node, dict.fromkeys(names))


def reached(nodes: Collection[ast.stmt]) -> list[ast.Attribute]:
    """The attributes that functions and classes read, but for those in methods that nothing reaches."""
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    methods = [one for node in classes for one in node.body if isinstance(one, ast.FunctionDef)]
    parts: list[ast.stmt] = [node for node in nodes if node not in classes]
    parts += [one for node in classes for one in node.body if one not in methods]
    names, found = set(_ENTRIES), list[ast.Attribute]()
    parts += [one for one in methods if one.name in names]
    while parts:
        found += [one for part in parts for one in ast.walk(part) if isinstance(one, ast.Attribute)]
        names |= {one.attr for one in found}
        methods = [one for one in methods if one not in parts]
        parts = [one for one in methods if one.name in names]
    return found


def _prune(node: ast.ClassDef, kept: Collection[str]) -> None:
    """Leave out methods that a forward does not reach, and attributes that none of them reads."""
    methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
    inherited = {name for name in methods if name in _ENTRIES or f"self.{name}" in kept}
    needed, open_ = set[str](), [name for name in inherited if name in methods]
    while open_:
        name = open_.pop()
        if name in needed:
            continue
        needed.add(name)
        for one in ast.walk(methods[name]):
            if isinstance(one, ast.Attribute) and one.attr in methods and ast.unparse(one.value) in ("self", "super()"):
                open_.append(one.attr)
    node.body = [one for one in node.body if not isinstance(one, ast.FunctionDef) or one.name in needed]
    reads = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Load)} | {
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }
    start = method_of(node, "__init__")
    if start is None or [ast.unparse(one) for one in node.bases] != ["nn.Module"]:
        return
    unread = {
        name
        for statement in start.body
        for name, value in attribute_pairs(statement)
        if name not in reads and name not in kept and not _makes_a_module(value)
    }
    drop_attributes(node, dict.fromkeys(unread))


def _makes_a_module(value: ast.expr) -> bool:
    """Whether a value may be a layer or a learnable tensor."""
    return any(isinstance(one, ast.Call) and not _is_plain_call(one) for one in ast.walk(value))


def _is_plain_call(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in ("max", "min", "int", "float", "tuple", "len", "round")


def _trim_calls(node: ast.AST) -> None:
    """Leave out arguments of PyTorch's layers that are the default."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "nn":
            kind = getattr(nn, call.func.attr, None)
            if isinstance(kind, type) and issubclass(kind, nn.Module):
                _, defaults, _ = signature_of(kind)
                call.keywords = [
                    one
                    for one in call.keywords
                    if one.arg not in defaults
                    or value_of(one.value) is NO
                    or not same(value_of(one.value), defaults[one.arg])
                ]
