"""Parts of classes in their syntax trees: methods, and what `__init__` sets."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any


def method_of(node: ast.stmt, name: str) -> ast.FunctionDef | None:
    body = node.body if isinstance(node, ast.ClassDef) else []
    return next((one for one in body if isinstance(one, ast.FunctionDef) and one.name == name), None)


def initialiser(node: ast.stmt) -> ast.arguments | None:
    """The parameters of a class's `__init__`, or of a function."""
    if isinstance(node, ast.FunctionDef):
        return node.args
    found = method_of(node, "__init__")
    return None if found is None else found.args


def attribute_pairs(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        if isinstance(statement.target, ast.Attribute) and ast.unparse(statement.target.value) == "self":
            return [(statement.target.attr, statement.value)]
        return []
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    (goal,) = statement.targets
    if isinstance(goal, ast.Attribute) and ast.unparse(goal.value) == "self":
        return [(goal.attr, statement.value)]
    if isinstance(goal, ast.Tuple) and isinstance(statement.value, ast.Tuple):
        pairs = zip(goal.elts, statement.value.elts, strict=False)
        return [(one.attr, value) for one, value in pairs if isinstance(one, ast.Attribute)]
    return []


def is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def drop_attributes(node: ast.ClassDef, attributes: Mapping[str, Any]) -> None:
    """Remove the assignments of attributes, and their annotations in the class."""
    start = method_of(node, "__init__")
    if start is None or not attributes:
        return
    kept: list[ast.stmt] = []
    for statement in start.body:
        pairs = attribute_pairs(statement)
        if isinstance(statement, ast.AnnAssign) and pairs and pairs[0][0] in attributes:
            continue
        if isinstance(statement, ast.Assign) and pairs:
            (goal,) = statement.targets
            if isinstance(goal, ast.Tuple) and isinstance(statement.value, ast.Tuple):
                left = [
                    (one, value)
                    for one, value in zip(goal.elts, statement.value.elts, strict=True)
                    if not (isinstance(one, ast.Attribute) and one.attr in attributes)
                ]
                if not left:
                    continue
                if len(left) == 1:
                    statement.targets, statement.value = [left[0][0]], left[0][1]
                else:
                    goal.elts, statement.value.elts = [one for one, _ in left], [one for _, one in left]
            elif pairs[0][0] in attributes:
                continue
        kept.append(statement)
    start.body = kept
    node.body = [
        one
        for one in node.body
        if not (isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.target.id in attributes)
        and not (
            isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and one.targets[0].id in attributes
        )
    ]
