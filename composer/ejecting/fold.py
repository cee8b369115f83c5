"""Folds what is constant in a copied definition: options that a network sets alike, and branches that never run."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_BUILT_IN: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "tuple": tuple}
_CALLS: dict[str, Callable[..., Any]] = {
    "tuple": tuple,
    "range": range,
    "len": len,
    "max": max,
    "min": min,
    "int": int,
    "abs": abs,
    "math.prod": __import__("math").prod,
}
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
        node.test = _as_test(node.test)
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
        if name in ("max", "min", "len", "tuple", "int") and not node.keywords and node.args:
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


def _as_test(node: ast.expr) -> ast.expr:
    """A condition, of which only counts whether it holds."""
    if isinstance(node, ast.BoolOp):
        values = [value_of(_as_test(one)) for one in node.values]
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


def assigned(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that statements assign."""
    return {
        one.id
        for node in nodes
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store | ast.Del)
    }


def folded(body: Sequence[ast.stmt], folder: Folder, *, checks: bool) -> list[ast.stmt]:
    """The statements with constants in place. Raises Unfoldable.

    checks  whether statements that only raise are kept
    """
    found: list[ast.stmt] = []
    for statement in body:
        if not checks and _only_checks(statement):
            continue
        if isinstance(statement, ast.If):
            test = _as_test(folder.visit(statement.test))
            value = value_of(test)
            if value is not NO:
                found += folded(statement.body if value else statement.orelse, folder, checks=checks)
                if found and isinstance(found[-1], ast.Return | ast.Raise):
                    break
                continue
            statement.test = test
            if assigned([statement]) & folder.names.keys():
                raise Unfoldable
            statement.body = folded(statement.body, folder, checks=checks)
            statement.orelse = folded(statement.orelse, folder, checks=checks)
            if statement.body:
                found.append(statement)
            elif statement.orelse:
                statement.test, statement.body, statement.orelse = ast.UnaryOp(ast.Not(), test), statement.orelse, []
                found.append(statement)
            continue
        if isinstance(statement, ast.For | ast.While | ast.With):
            if assigned([statement]) & folder.names.keys():
                raise Unfoldable
            for name in ("iter", "test"):
                if hasattr(statement, name):
                    setattr(statement, name, folder.visit(getattr(statement, name)))
            statement.body = folded(statement.body, folder, checks=checks)
            if isinstance(statement, ast.For):
                _without_names(statement)
            if statement.body:
                found.append(statement)
            continue
        if isinstance(statement, ast.FunctionDef):
            own = {one.arg for one in ast.walk(statement.args) if isinstance(one, ast.arg)}
            if own & folder.names.keys():
                raise Unfoldable
            statement.body = folded(statement.body, folder, checks=True)
            found.append(statement)
            continue
        made = _plainly(folder.visit(statement))
        found += _after_assignment(made, folder)
        if isinstance(made, ast.Return | ast.Raise):
            break
    return _returned(found)


def _plainly(statement: ast.stmt) -> ast.stmt:
    """`self.add_module("fc1", layer)` and the like as the attributes that they are, if their names are known."""
    call = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    if isinstance(statement, ast.Expr) and isinstance(call, ast.Call) and ast.unparse(call.func) == "self.add_module":
        name = value_of(call.args[0]) if len(call.args) == 2 else NO
        if isinstance(name, str) and name.isidentifier():
            goal = ast.Attribute(ast.Name("self", ast.Load()), name, ast.Store())
            return ast.copy_location(ast.Assign([goal], call.args[1]), statement)
    if isinstance(statement, ast.Assign) and isinstance(call, ast.GeneratorExp) and len(call.generators) == 1:
        (loop,) = call.generators
        names = value_of(loop.iter)
        read = ast.unparse(call.elt) == f"getattr(self, {ast.unparse(loop.target)})" and not loop.ifs
        if read and isinstance(names, tuple) and all(isinstance(name, str) and name.isidentifier() for name in names):
            own: list[ast.expr] = [ast.Attribute(ast.Name("self", ast.Load()), name, ast.Load()) for name in names]
            statement.value = ast.Tuple(own, ast.Load())
    return statement


_UNNAMED = {
    "named_modules": "modules",
    "named_children": "children",
    "named_parameters": "parameters",
    "items": "values",
}


def _without_names(loop: ast.For) -> None:
    """Let a loop whose names nothing reads any more run over the values alone."""
    target, call = loop.target, loop.iter
    if not (isinstance(target, ast.Tuple) and len(target.elts) == 2 and isinstance(call, ast.Call) and not call.args):
        return
    name, value = target.elts
    if not (isinstance(name, ast.Name) and isinstance(call.func, ast.Attribute) and call.func.attr in _UNNAMED):
        return
    if not any(isinstance(one, ast.Name) and one.id == name.id for each in loop.body for one in ast.walk(each)):
        loop.target, call.func.attr = value, _UNNAMED[call.func.attr]


def _returned(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements; what is named only to be returned is returned at once."""
    if len(body) > 1 and isinstance(body[-1], ast.Return) and isinstance(body[-1].value, ast.Name):
        before = body[-2]
        if isinstance(before, ast.Assign) and ast.unparse(before.targets[0]) == body[-1].value.id:
            last = ast.copy_location(ast.Return(before.value), before)
            last.comments = getattr(before, "comments", [])  # type: ignore[attr-defined]
            last.blank = getattr(before, "blank", False)  # type: ignore[attr-defined]
            return [*body[:-2], last]
    return body


def _after_assignment(statement: ast.stmt, folder: Folder) -> list[ast.stmt]:
    """The statement; nothing if it makes a variable constant, which is replaced from here on."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
        value = value_of(statement.value)
        if value is None or isinstance(value, bool | str):
            folder.names[statement.target.id] = value
            return []
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
            return _pairs(target, statement.value, statement, folder)
        if isinstance(target, ast.Name):
            value = value_of(statement.value)
            if value is None or isinstance(value, bool | str):
                folder.names[target.id] = value
                return []
            if isinstance(statement.value, ast.Name) and getattr(statement, "was", "") != ast.dump(statement):
                # A choice that has become another name of the same value.
                folder.renamed[target.id] = statement.value.id
                return []
    for name in assigned([statement]) & folder.names.keys():
        del folder.names[name]
    return [statement]


def _pairs(targets: ast.Tuple, values: ast.Tuple, statement: ast.Assign, folder: Folder) -> list[ast.stmt]:
    """An assignment of several, without the variables that are constant."""
    kept = []
    for target, value in zip(targets.elts, values.elts, strict=False):
        found = value_of(value)
        if isinstance(target, ast.Name) and (found is None or isinstance(found, bool | str)):
            folder.names[target.id] = found
        else:
            if isinstance(target, ast.Name):
                folder.names.pop(target.id, None)
            kept.append((target, value))
    if len(targets.elts) != len(values.elts):
        return [statement]
    if not kept:
        return []
    if len(kept) == 1:
        statement.targets, statement.value = [kept[0][0]], kept[0][1]
    elif len(kept) < len(targets.elts):
        targets.elts, values.elts = [one for one, _ in kept], [one for _, one in kept]
    return [statement]


def _only_checks(statement: ast.stmt) -> bool:
    """Whether a statement only raises for options that do not fit, as they did when the network was composed."""
    if isinstance(statement, ast.If):
        return bool(statement.body) and isinstance(statement.body[-1], ast.Raise) and not statement.orelse
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        function = statement.value.func
        name = function.id if isinstance(function, ast.Name) else ""
        return f"{name.lstrip('_')}_".startswith("check_")
    return isinstance(statement, ast.Assert)


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
