"""Folds the statements of a copied function: what is constant from somewhere on, and branches that never run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from composer.ejecting.fold import NO, Folder, Unfoldable, as_test, value_of


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
            test = as_test(folder.visit(statement.test))
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
