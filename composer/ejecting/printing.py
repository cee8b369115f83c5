"""Prints definitions that were read from a file: statements that stayed as they were keep their lines and comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Sequence
from typing import Any

from composer.ejecting.layout import laid_out, outside_strings

_BLOCKS = (ast.If, ast.For, ast.With, ast.While, ast.FunctionDef, ast.ClassDef, ast.Try)


def tagged(tree: ast.Module, lines: Sequence[str]) -> ast.Module:
    """The tree, each of whose statements knows its lines, the comments above it, and how it was."""
    for body in _bodies(tree):
        for before, statement in zip([None, *body], body, strict=False):
            start = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", []))])
            above = start - 1
            floor = before.end_lineno if before is not None else 0
            while above > (floor or 0) and lines[above - 1].strip().startswith("#"):
                above -= 1
            noted: Any = statement
            noted.comments = [lines[index].strip() for index in range(above, start - 1)]
            noted.blank = above > 1 and not lines[above - 1].strip()
            noted.text = [line[statement.col_offset :] for line in _lines_of(statement, lines)]
            noted.was = ast.dump(statement)
            noted.remark = _remark(statement, lines)
    return tree


def _lines_of(statement: ast.stmt, lines: Sequence[str]) -> list[str]:
    assert statement.end_lineno is not None
    start = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", []))])
    return [*lines[start - 1 : statement.end_lineno]]


def _remark(statement: ast.stmt, lines: Sequence[str]) -> str:
    """The comment behind a statement, or behind the head of a compound one."""
    line = lines[statement.lineno - 1] if isinstance(statement, _BLOCKS) else lines[(statement.end_lineno or 1) - 1]
    found = re.search(r"  (# .*)$", line)
    return f"  {found[1]}" if found else ""


def _bodies(tree: ast.AST) -> Iterable[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                yield body


def printed(statement: ast.stmt, indent: int = 0) -> list[str]:
    """The lines of a statement."""
    space = " " * indent
    lines = [f"{space}{one}" for one in getattr(statement, "comments", [])]
    if getattr(statement, "was", None) == ast.dump(statement):
        return [*lines, *(f"{space}{one}".rstrip() for one in statement.text)]  # type: ignore[attr-defined]
    if isinstance(statement, ast.ClassDef):
        return [*lines, *_class(statement, indent)]
    if isinstance(statement, ast.FunctionDef):
        return [*lines, *_function(statement, indent)]
    remark = getattr(statement, "remark", "")
    if isinstance(statement, ast.If):
        return [*lines, *_if(statement, indent, "if")]
    if isinstance(statement, ast.For):
        head = f"for {plain(statement.target)} in {plain(statement.iter)}:"
        return [*lines, *laid_out(head, indent), *_block(statement.body, indent + 4)]
    if isinstance(statement, ast.With):
        head = f"with {', '.join(map(code, statement.items))}:"
        return [*lines, *laid_out(head, indent), *_block(statement.body, indent + 4)]
    if _is_docstring(statement):
        text = str(statement.value.value).replace("\\", "\\\\").replace('"""', "'''")  # type: ignore[attr-defined]
        first, *rest = text.split("\n")
        found = [f'"""{first}', *rest]
        found[-1] += '"""'
        return [*lines, *(f"{space}{one}".rstrip() for one in found)]
    found = laid_out(code(statement), indent)
    found[-1] += remark
    return [*lines, *found]


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _block(body: Sequence[ast.stmt], indent: int) -> list[str]:
    lines: list[str] = []
    for index, one in enumerate(body):
        if index and getattr(one, "blank", False):
            lines.append("")
        lines += printed(one, indent)
    return lines


def _if(statement: ast.If, indent: int, word: str) -> list[str]:
    lines = [*laid_out(f"{word} {plain(statement.test)}:", indent), *_block(statement.body, indent + 4)]
    other = statement.orelse
    if len(other) == 1 and isinstance(other[0], ast.If):
        return [*lines, *_if(other[0], indent, "elif")]
    if other:
        lines += [" " * indent + "else:", *_block(other, indent + 4)]
    return lines


def _function(statement: ast.FunctionDef, indent: int) -> list[str]:
    decorators = [f"{' ' * indent}@{code(one)}" for one in statement.decorator_list]
    returns = f" -> {code(statement.returns)}" if statement.returns is not None else ""
    head = laid_out(f"def {statement.name}({parameters(statement.args)}){returns}:", indent)
    head[-1] += getattr(statement, "remark", "")
    return [*decorators, *head, *_block(statement.body, indent + 4)]


def parameters(arguments: ast.arguments) -> str:
    """The parameters of a function, as they stand between its brackets."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    words = [_parameter(one, default) for one, default in zip(plain, defaults, strict=True)]
    if arguments.vararg:
        words.append(f"*{_parameter(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        words.append("*")
    words += [
        _parameter(one, default) for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        words.append(f"**{_parameter(arguments.kwarg, None)}")
    return ", ".join(words)


def _parameter(one: ast.arg, default: ast.expr | None) -> str:
    text = one.arg + (f": {code(one.annotation)}" if one.annotation is not None else "")
    if default is None:
        return text
    return f"{text} = {code(default)}" if one.annotation is not None else f"{text}={code(default)}"


def _class(statement: ast.ClassDef, indent: int) -> list[str]:
    bases = ", ".join(map(code, statement.bases))
    lines = [f"{' ' * indent}class {statement.name}({bases}):"]
    before: ast.stmt | None = None
    for one in statement.body:
        if (before is not None and (isinstance(one, ast.FunctionDef) or isinstance(before, ast.FunctionDef))) or (
            before is not None and (_is_docstring(before) or getattr(one, "blank", False))
        ):
            lines.append("")
        lines += printed(one, indent + 4)
        before = one
    return lines


def plain(node: ast.AST) -> str:
    """The code of an expression, without brackets around a tuple."""
    text = code(node)
    if isinstance(node, ast.Tuple) and text.startswith("(") and len(node.elts) > 1:
        return text[1:-1]
    return text


_NEGATIVE = re.compile(r"\*\* \((-[\d.]+)\)")
_POWER = re.compile(r"(?<![\w.)\]])([\w.]+) \*\* (-?[\w.]+)(?![\w.(\[])")


def code(node: ast.AST) -> str:
    """The code of a node, in one line, as formatters write it."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
        targets = "".join(f"{plain(one)} = " for one in node.targets)
        return f"{targets}{plain(node.value)}"
    text = _NEGATIVE.sub(r"** \1", _double_quoted(ast.unparse(node)))
    return _spaced_slices(_POWER.sub(r"\1**\2", text))


def _double_quoted(text: str) -> str:
    """The code with double quotes around strings that have none inside."""
    found = list(tokenize.generate_tokens(io.StringIO(text).readline))
    lines = text.split("\n")
    for token in reversed(found):
        if token.type == tokenize.STRING and token.start[0] == token.end[0]:
            start = token.string.index(token.string[-1])
            inside = token.string[start + 1 : -1]
            if token.string.endswith("'") and not token.string.endswith("'''") and '"' not in inside:
                row, column = token.start
                line = lines[row - 1]
                new = f'{token.string[:start]}"{inside}"'
                lines[row - 1] = line[:column] + new + line[token.end[1] :]
    return "\n".join(lines)


def _spaced_slices(text: str) -> str:
    """The code with spaces around the colons of slices whose ends are not names or numbers."""
    outside = dict(outside_strings(text))
    opened: list[int] = []
    colons: dict[int, list[int]] = {}
    cuts: dict[int, int] = {}
    for index, letter in outside.items():
        if letter in "([{":
            opened.append(index)
        elif letter in ")]}" and opened:
            start = opened.pop()
            for one in colons.pop(start, []):
                part = _part_around(text, one, start, index, outside)
                if not all(re.fullmatch(r"-?\w*", each) for each in part):
                    cuts[one] = index
        elif letter == ":" and opened and text[opened[-1]] == "[":
            colons.setdefault(opened[-1], []).append(index)
    for one in sorted(cuts, reverse=True):
        before, after = text[:one].rstrip(), text[one + 1 :].lstrip()
        left = "" if before.endswith(("[", ",")) else " "
        left = " " if before.endswith(",") else left
        right = "" if after.startswith(("]", ",")) else " "
        text = f"{before}{left}:{right}{after}"
    return text


def _part_around(text: str, colon: int, start: int, end: int, outside: dict[int, str]) -> list[str]:
    """The ends of the slice around a colon: what lies between commas of its bracket."""
    depth, first, last = 0, start + 1, end
    for index, letter in outside.items():
        if not start < index < end:
            continue
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            if index < colon:
                first = index + 1
            else:
                last = index
                break
    return [each.strip() for each in text[first:last].split(":")]
