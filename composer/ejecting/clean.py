"""Strips a copied definition of what only composer needs: registration, words for tools, long descriptions."""

from __future__ import annotations

import ast
import inspect
import re

from composer.ejecting.printing import code

# Methods that a network of one file has no use for.
_UNUSED = {
    "extra_repr",
    "_load_from_state_dict",
    "__prepare_scriptable__",
}
_KEPT_DECORATORS = {"property", "staticmethod", "classmethod"}
_SECTIONS = re.compile(r"^(Shape|Math|Params|MACs|Source|Departs|Start|Cost|Note):", re.MULTILINE)


def clean_class(node: ast.ClassDef) -> None:
    """Strip what only composer needs: registration, descriptions for tools, doctests."""
    node.decorator_list = []
    shorten(node)
    kept: list[ast.stmt] = []
    for one in node.body:
        if isinstance(one, ast.FunctionDef):
            if one.name in _UNUSED:
                continue
            one.decorator_list = [
                each
                for each in one.decorator_list
                if code(each) in _KEPT_DECORATORS or code(each).endswith(".setter") or code(each).startswith("torch.")
            ]
            shorten(one)
        kept.append(one)
    node.body = kept


def shorten(node: ast.ClassDef | ast.FunctionDef) -> None:
    """The docstring's first sentence, and its equation."""
    if not node.body or not isinstance(node.body[0], ast.Expr) or not isinstance(node.body[0].value, ast.Constant):
        return
    whole = inspect.cleandoc(str(node.body[0].value.value))
    first = whole.split("\n\n")[0]
    sections = _read_sections(whole) if isinstance(node, ast.ClassDef) else {}
    lines = first.split("\n")
    if sections:
        lines.append("")
        for name, text in sections.items():
            lines += [f"{name + ':':<9}{text[0]}", *(f"{' ' * 9}{one}" for one in text[1:])]
        lines.append("")
    node.body[0].value.value = "\n".join(lines)


def _read_sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.split("\n"):
        match = _SECTIONS.match(line)
        if match:
            current = found.setdefault(match[1], []) if match[1] in ("Shape", "Math") else None
            line = line[match.end() :]
            if current is not None:
                current.append(line.strip())
        elif not line.strip():
            current = None
        elif current is not None:
            current.append(line.strip() if len(line) - len(line.lstrip()) <= 9 else line[9:].rstrip())
    return found
