"""The table of codes holds those that are raised anywhere in the source, and no others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import composer
from composer.codes import CODES

PACKAGE = Path(composer.__file__).parent
# What takes a code, and the how-manieth of its arguments it is.
TAKES = {"Diagnostic": 0, "problem": 0, "problem_within": 0, "problem_at": 1, "check_names": 2}


def codes(source: str) -> Iterator[str]:
    """Every code that a module gives to something; `?` and the line for one that cannot be read there.

    A function may pass on its own argument `code`, if its name is known to take one.
    """
    yield from _codes(ast.parse(source), "")


def _codes(node: ast.AST, function: str) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef):
        function = node.name
    if isinstance(node, ast.Call) and (place := TAKES.get(_name(node.func))) is not None:
        named = [one.value for one in node.keywords if one.arg == "code"]
        (given,) = named or node.args[place : place + 1] or [node]
        yield from _read(given, function)
    for child in ast.iter_child_nodes(node):
        yield from _codes(child, function)


def _read(given: ast.AST, function: str) -> Iterator[str]:
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        yield given.value
    elif isinstance(given, ast.IfExp):
        yield from _read(given.body, function)
        yield from _read(given.orelse, function)
    elif not (isinstance(given, ast.Name) and given.id == "code" and function in TAKES):
        yield f"? {ast.unparse(given)} in line {getattr(given, 'lineno', 0)}"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_the_table_is_whole_and_has_no_more() -> None:
    found = {code: file for file in sorted(PACKAGE.rglob("*.py")) for code in codes(file.read_text())}
    assert {code: file for code, file in found.items() if code not in CODES} == {}
    assert set(CODES) - set(found) == set()


def test_every_code_is_said_in_one_sentence() -> None:
    for code, text in CODES.items():
        assert code == code.lower()
        assert text[0].isupper() or text[0] == "`"
        assert text.endswith(".")
        assert ". " not in text
        assert len(text) < 100


def test_the_reading_can_fail() -> None:
    assert list(codes('raise E(Diagnostic("a", f"b"))')) == ["a"]
    assert list(codes('origin.problem(code="a", message="b")')) == ["a"]
    assert list(codes('step.problem_at("key", "a" if x else "b", "c")')) == ["a", "b"]
    assert list(codes("def problem(code): Diagnostic(code, 1)")) == []
    assert list(codes("def other(code): Diagnostic(code, 1)")) == ["? code in line 1"]
    assert list(codes("Diagnostic(f'yaml-{x}', 1)")) == ["? f'yaml-{x}' in line 1"]
    assert list(codes("limits.problem()")) == ["? limits.problem() in line 1"]
