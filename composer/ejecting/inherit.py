"""Writes a copied class without the classes of composer that it extends: with what it inherits from them."""

from __future__ import annotations

import ast
import copy
import sys
import types
from collections.abc import Mapping
from typing import Any

from composer.ejecting.parameters import arguments_of, defaults_of
from composer.ejecting.parts import is_docstring, method_of
from composer.ejecting.sources import names_in, read, target


def flattened(node: ast.ClassDef, module: types.ModuleType) -> ast.ClassDef:
    """The class with what it inherits from classes of ours, unless a method asks for what it overrides."""
    homes: dict[str, str] = {}
    stuck: set[str] = set()
    while True:
        found = [(one, target(module, ast.unparse(one))) for one in node.bases if ast.unparse(one) not in stuck]
        place, home = next(((one, where) for one, where in found if isinstance(where, tuple)), (None, None))
        if place is None or home is None:
            break
        base = copy.deepcopy(read(home[0]).definitions[home[1]])
        if not isinstance(base, ast.ClassDef) or not _merge(node, base):
            stuck.add(ast.unparse(place))
            continue
        index = node.bases.index(place)
        known = {ast.unparse(one) for one in node.bases}
        node.bases[index : index + 1] = [one for one in base.bases if ast.unparse(one) not in known]
        for one in set(names_in(base)):
            homes.setdefault(one, home[0].__name__)
    for one in list(homes):
        if target(module, one) is not None or target(sys.modules[homes[one]], one) is None:
            del homes[one]
    node.homes = homes  # type: ignore[attr-defined]
    return node


def _merge(node: ast.ClassDef, base: ast.ClassDef) -> bool:
    """Add the methods of a base class, and put its `__init__` where it is called. False if that cannot be written."""
    own = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
    for method in [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name != "__init__"]:
        if any(isinstance(one, ast.Name) and one.id == "super" for one in ast.walk(method)):
            return False
    start, first = method_of(node, "__init__"), method_of(base, "__init__")
    if start is not None and first is not None:
        body = _spliced(start, first)
        if body is None:
            return False
        start.body = body
    inherited = [
        one
        for one in base.body
        if not (isinstance(one, ast.FunctionDef) and one.name in own)
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
    ]
    at = 1 if node.body and isinstance(node.body[0], ast.Expr) else 0
    fields = [one for one in inherited if not isinstance(one, ast.FunctionDef)]
    methods = [one for one in inherited if isinstance(one, ast.FunctionDef)]
    if start is None and first is not None:
        methods.remove(first)
        fields.append(first)
    rest = node.body[at:]
    forward = next((index for index, one in enumerate(rest) if getattr(one, "name", "") == "forward"), len(rest))
    node.body = [*node.body[:at], *fields, *rest[:forward], *methods, *rest[forward:]]
    return True


def _spliced(start: ast.FunctionDef, first: ast.FunctionDef) -> list[ast.stmt] | None:
    """The statements of `__init__` with those of the base class's in place of the call of it."""
    found: list[ast.stmt] = []
    for statement in start.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
            given = arguments_of(call, first.args)
            if given is None:
                return None
            values = {**defaults_of(first.args), **given}
            body = copy.deepcopy(first.body)
            local = {one.arg for one in (*start.args.args, *start.args.kwonlyargs)}
            stored = {
                one.id
                for each in body
                for one in ast.walk(each)
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
            }
            if stored & (local | set(values)):
                return None
            for name, value in values.items():
                uses = sum(isinstance(one, ast.Name) and one.id == name for each in body for one in ast.walk(each))
                if uses > 1 and not isinstance(value, ast.Name | ast.Constant | ast.Attribute):
                    return None
            body = [_substitute(one, values) for one in body if not is_docstring(one)]
            found += body
        else:
            found.append(statement)
    return found


def _substitute(node: Any, values: Mapping[str, ast.expr]) -> Any:
    class Put(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.AST:
            if isinstance(name.ctx, ast.Load) and name.id in values:
                return copy.deepcopy(values[name.id])
            return name

    return Put().visit(node)
