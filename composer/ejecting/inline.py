"""Writes short helpers where they are called: a method or function that only returns an expression."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from composer.ejecting.parameters import arguments_of, defaults_of

_SHORT = 64


def inlined(node: ast.ClassDef, helper: Callable[[str], ast.FunctionDef | None]) -> None:
    """Put short methods, properties and helpers of a class where they are called.

    helper  a function of the file by its name; None if there is none
    """
    for _ in range(4):
        methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
        putter = _Put(methods, helper)
        for method in methods.values():
            putter.inside = method.name
            method.body = [putter.visit(one) for one in method.body]
        _join_last(node)
        if not putter.changed:
            return


@dataclass
class _Put(ast.NodeTransformer):
    methods: Mapping[str, ast.FunctionDef]
    helper: Callable[[str], ast.FunctionDef | None]
    inside: str = ""
    changed: bool = False

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and ast.unparse(node.value) == "self":
            method = self.methods.get(node.attr)
            if method is not None and method.name != self.inside and _is_property(method):
                result = _result(method)
                if result is not None and len(ast.unparse(result)) <= _SHORT:
                    self.changed = True
                    return copy.deepcopy(result)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        method: ast.FunctionDef | None = None
        if isinstance(function, ast.Attribute) and ast.unparse(function.value) == "self":
            method = self.methods.get(function.attr)
            if method is not None and (method.decorator_list or method.name in ("forward", self.inside)):
                method = None
        elif isinstance(function, ast.Name):
            method = self.helper(function.id)
        if method is None:
            return node
        result = _result(method)
        if result is None or len(ast.unparse(result)) > _SHORT:
            return node
        given = arguments_of(node, method.args)
        if given is None:
            return node
        values = {**defaults_of(method.args), **given}
        wanted = {one.arg for one in (*method.args.args, *method.args.kwonlyargs) if one.arg != "self"}
        if wanted - values.keys():
            return node
        for name, value in values.items():
            uses = sum(isinstance(one, ast.Name) and one.id == name for one in ast.walk(result))
            if uses != 1 and not isinstance(value, ast.Name | ast.Constant) and not (uses == 0 and _is_pure(value)):
                return node
        bound = {one.id for one in ast.walk(result) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        free = {one.id for value in values.values() for one in ast.walk(value) if isinstance(one, ast.Name)}
        if bound & free:
            return node
        self.changed = True

        class Values(ast.NodeTransformer):
            def visit_Name(self, name: ast.Name) -> ast.AST:
                return copy.deepcopy(values[name.id]) if name.id in values else name

        made: ast.AST = Values().visit(copy.deepcopy(result))
        return made


def _is_pure(value: ast.expr) -> bool:
    return not any(isinstance(one, ast.Call) for one in ast.walk(value))


def _is_property(method: ast.FunctionDef) -> bool:
    return [ast.unparse(one) for one in method.decorator_list] == ["property"]


def _result(method: ast.FunctionDef) -> ast.expr | None:
    """What a method returns that does nothing else; None for others."""
    body = [one for one in method.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    if len(body) == 1 and isinstance(body[0], ast.Return):
        return body[0].value
    return None


def _join_last(node: ast.ClassDef) -> None:
    """Write a method that only a forward calls, in its last line, in the forward itself."""
    methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
    forward = methods.get("forward")
    if forward is None or not forward.body or not isinstance(forward.body[-1], ast.Return):
        return
    last = forward.body[-1]
    for name, method in methods.items():
        if name in ("__init__", "forward") or method.decorator_list:
            continue
        reads = [one for one in ast.walk(node) if isinstance(one, ast.Attribute) and one.attr == name]
        calls = [
            one
            for one in ast.walk(last)
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == name
        ]
        body = [one for one in method.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
        if len(reads) != 1 or len(calls) != 1 or not body or not isinstance(body[-1], ast.Return):
            continue
        given = arguments_of(calls[0], method.args)
        if given is None or any(not isinstance(one, ast.Name) or one.id != key for key, one in given.items()):
            continue
        returns = [one for each in body for one in ast.walk(each) if isinstance(one, ast.Return)]
        stored = {
            one.id
            for each in body
            for one in ast.walk(each)
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
        }
        known = {one.id for each in forward.body for one in ast.walk(each) if isinstance(one, ast.Name)}
        known |= {one.arg for one in forward.args.args}
        if len(returns) != 1 or stored & known:
            continue
        result = body[-1].value

        class Put(ast.NodeTransformer):
            def visit_Call(self, call: ast.Call) -> ast.AST:
                if call is calls[0] and result is not None:  # noqa: B023
                    return result  # noqa: B023
                return self.generic_visit(call)

        Put().visit(last)
        forward.body[-1:] = [*body[:-1], last]
        node.body.remove(method)
        return
