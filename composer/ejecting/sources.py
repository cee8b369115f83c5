"""Copies the sources of mechanisms and layers, with all that they need of composer, each once."""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from composer.ejecting.printing import tagged

# Types of options, as they are without bounds.
_TYPES = {
    "PositiveInt": "int",
    "NonNegativeInt": "int",
    "OddInt": "int",
    "FiniteFloat": "float",
    "PositiveFloat": "float",
    "Probability": "float",
    "Size": "int | tuple[int, int]",
    "Padding": "int | tuple[int, int]",
    "Both": "int | tuple[int, int]",
    "Size3d": "int | tuple[int, int, int]",
    "Padding3d": "int | tuple[int, int, int]",
    "Lengths": "int | tuple[int, ...]",
    "Paddings": "int | tuple[int, ...]",
    "Each": "int | tuple[int, ...]",
}


class Unread(Exception):
    """A source that cannot be read, or that does not stand by itself; the message says which."""


@dataclass(frozen=True)
class File:
    """A module's source, read: its definitions and its imports, by name."""

    definitions: Mapping[str, ast.stmt]
    imports: Mapping[str, str]
    origins: Mapping[str, tuple[str, str]]


@cache
def read(module: types.ModuleType) -> File:
    """The source of a module."""
    try:
        path = inspect.getsourcefile(module)
        text = Path(path or "").read_text(encoding="utf-8")
    except (OSError, TypeError) as error:
        raise Unread(f"the source of `{module.__name__}` cannot be read") from error
    lines = text.splitlines()
    tree = tagged(ast.parse(text), lines)
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, str] = {}
    origins: dict[str, tuple[str, str]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
            definitions.update(_each(statement))
        elif isinstance(statement, ast.Assign):
            definitions.update((one.id, statement) for one in statement.targets if isinstance(one, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            definitions[statement.target.id] = statement
        elif isinstance(statement, ast.Import):
            for one in statement.names:
                name = one.asname or one.name.partition(".")[0]
                imports[name] = f"import {one.name}" + (f" as {one.asname}" if one.asname else "")
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            for one in statement.names:
                origins[one.asname or one.name] = (statement.module, one.name)
    return File(definitions, imports, origins)


def _each(statement: ast.Assign) -> Iterable[tuple[str, ast.stmt]]:
    """The names of `A, B = 1, 2`, each with an assignment of its own."""
    goals, values = statement.targets[0], statement.value
    if isinstance(goals, ast.Tuple) and isinstance(values, ast.Tuple) and len(goals.elts) == len(values.elts):
        for goal, value in zip(goals.elts, values.elts, strict=True):
            if isinstance(goal, ast.Name):
                yield goal.id, ast.copy_location(ast.Assign([goal], value), statement)


def is_ours(module: str, own: types.ModuleType) -> bool:
    """Whether a module's definitions are copied: composer's, a plugin package's own, and files' beside a plugin."""
    package = module.partition(".")[0]
    if package in ("composer", own.__name__.partition(".")[0]):
        return True
    found, beside = getattr(sys.modules.get(module), "__file__", None), own.__file__
    return bool(found and beside) and Path(str(found)).parent == Path(str(beside)).parent and not is_composer(own)


def is_composer(module: types.ModuleType) -> bool:
    """Whether a module is composer's own."""
    return module.__name__.partition(".")[0] == "composer"


def names_in(node: ast.AST) -> Iterable[str]:
    """The names that a definition reads."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id


def target(module: types.ModuleType, name: str) -> tuple[types.ModuleType, str] | str | None:
    """Where a name of a module is defined: a module of ours and the name there, a line that imports it, or None."""
    file = read(module)
    if name in file.definitions:
        return module, name
    if name in file.imports:
        return file.imports[name]
    if name in file.origins:
        source, original = file.origins[name]
        if is_ours(source, module):
            found = sys.modules.get(source)
            inner = sys.modules.get(f"{source}.{original}")
            if found is None or (inner is not None and not hasattr(found, original)):
                return None
            return target(found, original)
        return f"from {source} import {original}" + (f" as {name}" if name != original else "")
    return None


def plain_types(node: ast.AST, module: types.ModuleType) -> ast.AST:
    """The node with types of options as they are without bounds."""

    class Plain(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            if ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
                return self.visit(node.slice.elts[0])
            return self.generic_visit(node)

        def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
            if ast.unparse(node.value) == "composer" and node.attr in _TYPES:
                return ast.parse(_TYPES[node.attr], mode="eval").body
            return self.generic_visit(node)

        def visit_Name(self, name: ast.Name) -> ast.AST:
            written = _TYPES.get(name.id)
            if written is None or name.id in read(module).definitions:
                return name
            return ast.parse(written, mode="eval").body

    return Plain().visit(node)


def module_of(thing: Callable[..., Any]) -> types.ModuleType:
    """The module that defines a class or function."""
    return sys.modules[inspect.unwrap(thing).__module__]
