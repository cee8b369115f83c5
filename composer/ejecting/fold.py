"""Folds what is constant in a copied definition: options that a network sets alike, and branches that never run."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_BUILT_IN: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "tuple": tuple}
_CALLS: dict[str, Callable[..., Any]] = {"tuple": tuple, "len": len, "max": max, "min": min, "int": int}
_COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: lambda a, b: a is b,
    ast.IsNot: lambda a, b: a is not b,
}
_COMPUTE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
}


class Unfoldable(Exception):
    """A constant is assigned where it is not known which value holds."""


class _No:
    """No constant."""


NO = _No()


def value_of(node: ast.AST | None) -> Any:
    """The value of a constant expression; NO for any other."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        found = value_of(node.operand)
        return -found if isinstance(found, int | float) and not isinstance(found, bool) else NO
    if isinstance(node, ast.Tuple | ast.List):
        found = [value_of(one) for one in node.elts]
        return NO if any(one is NO for one in found) else tuple(found)
    return NO


def constant(value: Any) -> ast.expr:
    """A constant expression."""
    return ast.parse(repr(value), mode="eval").body


@dataclass
class Folder(ast.NodeTransformer):
    """Replaces constants and computes with them.

    names       names of variables -> their constants
    attributes  names of attributes of `self` -> their constants
    given       names of variables that are never None
    tables      (name of a table of the module, key) -> the code of its value; None without one
    kinds       names of attributes of `self` -> the class of PyTorch's that they are
    renamed     names of variables that are but another name of a variable -> that name
    """

    names: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    tables: Callable[[str, Any], ast.expr | None] = lambda name, key: None
    kinds: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.renamed:
            if not isinstance(node.ctx, ast.Load):
                raise Unfoldable
            node = ast.Name(self.renamed[node.id], ast.Load())
        if isinstance(node.ctx, ast.Load) and node.id in self.names:
            return constant(self.names[node.id])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if _is_self(node) and isinstance(node.ctx, ast.Load) and node.attr in self.attributes:
            return constant(self.attributes[node.attr])
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        parts: list[ast.expr] = []
        for one in node.values:
            value = value_of(one.value) if isinstance(one, ast.FormattedValue) and one.format_spec is None else NO
            part = ast.Constant(value) if isinstance(value, str) else one
            if isinstance(part, ast.Constant) and parts and isinstance(parts[-1], ast.Constant):
                before = parts.pop()
                part = ast.Constant(f"{value_of(before)}{value_of(part)}")
            parts.append(part)
        return parts[0] if len(parts) == 1 and isinstance(parts[0], ast.Constant) else ast.JoinedStr(parts)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) != 1:
            return node
        left, right = value_of(node.left), value_of(node.comparators[0])
        kind = type(node.ops[0])
        if isinstance(node.left, ast.Name) and node.left.id in self.given and right is None:
            return constant(kind in (ast.IsNot, ast.NotEq))
        if left is NO or right is NO or kind not in _COMPARE:
            return node
        return constant(bool(_COMPARE[kind](left, right)))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        is_and = isinstance(node.op, ast.And)
        kept: list[ast.expr] = []
        for one in node.values:
            found = value_of(one)
            if found is NO:
                kept.append(one)
            elif bool(found) is not is_and:
                kept.append(one)
                break
            elif one is node.values[-1]:
                kept.append(one)
        if (
            len(kept) > 1
            and value_of(kept[-1]) is not NO
            and bool(value_of(kept[-1])) is is_and
            and _is_test(kept[:-1])
        ):
            kept.pop()
        if len(kept) > 1 and value_of(kept[-1]) is not NO and _is_test(kept[:-1]):
            return constant(not is_and)
        return kept[0] if len(kept) == 1 else ast.copy_location(ast.BoolOp(node.op, kept), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        found = value_of(node.operand)
        return constant(not found) if isinstance(node.op, ast.Not) and found is not NO else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        node.test = as_test(node.test)
        test = value_of(node.test)
        return node if test is NO else node.body if test else node.orelse

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        before = ast.dump(node)
        self.generic_visit(node)
        left, right = value_of(node.left), value_of(node.right)
        # What was constant before is as its author wrote it.
        if left is NO or right is NO or ast.dump(node) == before or type(node.op) not in _COMPUTE:
            return node
        return constant(_COMPUTE[type(node.op)](left, right))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        node.args = [
            inner
            for one in node.args
            for inner in (
                one.value.elts if isinstance(one, ast.Starred) and isinstance(one.value, ast.Tuple) else [one]
            )
        ]
        name = ast.unparse(node.func)
        if name == "isinstance" and len(node.args) == 2:
            first = node.args[0]
            kind = self.kinds.get(first.attr) if isinstance(first, ast.Attribute) and _is_self(first) else None
            wanted = {one.strip() for one in ast.unparse(node.args[1]).strip("()").replace("|", ",").split(",")}
            if kind is not None and all(one.startswith("nn.") for one in wanted):
                return constant(kind in wanted)
        if name == "isinstance" and len(node.args) == 2 and value_of(node.args[0]) is not NO:
            kinds = [_BUILT_IN.get(one.strip()) for one in ast.unparse(node.args[1]).strip("()").split("|")]
            if all(one is not None for one in kinds):
                return constant(isinstance(value_of(node.args[0]), tuple(one for one in kinds if one is not None)))
        if name == "tuple" and len(node.args) == 1 and isinstance(node.args[0], ast.Call):
            inner = node.args[0]
            values = [value_of(one) for one in inner.args]
            if ast.unparse(inner.func) == "range" and all(isinstance(one, int) for one in values):
                return constant(tuple(range(*values)))
        if name in _CALLS and not node.keywords and node.args:
            values = [value_of(one) for one in node.args]
            if all(one is not NO for one in values):
                return constant(_CALLS[name](*values))
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        key = value_of(node.slice)
        if isinstance(node.value, ast.Name) and key is not NO and not isinstance(key, tuple):
            found = self.tables(node.value.id, key)
            if found is not None:
                return copy.deepcopy(found)
        if (
            isinstance(node.value, ast.Tuple)
            and type(key) is int
            and -len(node.value.elts) <= key < len(node.value.elts)
        ):
            return node.value.elts[key]
        if isinstance(node.value, ast.Dict) and key is not NO:
            for one, value in zip(node.value.keys, node.value.values, strict=True):
                if one is not None and value_of(one) == key:
                    return value
        return node


def as_test(node: ast.expr) -> ast.expr:
    """A condition, of which only counts whether it holds."""
    if isinstance(node, ast.BoolOp):
        values = [value_of(as_test(one)) for one in node.values]
        decisive = isinstance(node.op, ast.Or)
        if any(one is not NO and bool(one) is decisive for one in values):
            return constant(decisive)
        kept = [one for one, value in zip(node.values, values, strict=True) if value is NO]
        return kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)
    return node


def _is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _is_test(nodes: Sequence[ast.expr]) -> bool:
    return all(
        isinstance(one, ast.Compare) or (isinstance(one, ast.UnaryOp) and isinstance(one.op, ast.Not)) for one in nodes
    )
