"""A small Python-like expression language with its own parser and tree. Nothing in it can run code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from composer.spec.evaluate import Tree, evaluate, show
from composer.spec.functions import MAX_LIST
from composer.spec.parser import parse_tree
from composer.spec.tokens import ExpressionError

Read = tuple[str, int]  # a dotted name that an expression reads, and where it stands


@dataclass(frozen=True)
class Expression:
    """A parsed expression. `reads` lists the names it reads, as written, and their offsets."""

    text: str
    tree: Tree
    reads: tuple[Read, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names that the expression reads, without the facts after their dots."""
        return frozenset(name.partition(".")[0] for name, _ in self.reads)

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """The value of the expression, given the values of its names. Raises ExpressionError."""
        return evaluate(self.tree, names)


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """The expression that a text spells. Raises ExpressionError.

    >>> parse("planes * 4 if last else planes").evaluate({"planes": 64, "last": True})
    256
    """
    tree = parse_tree(text)
    return Expression(text, tree, tuple(_reads(tree)))


def _reads(tree: Tree) -> Iterator[Read]:
    if tree.kind == "name":
        yield tree.word.text, tree.word.offset
    for child in tree.children:
        yield from _reads(child)


@dataclass(frozen=True)
class Template:
    """A string with expressions. A lone `$name` or `${…}` keeps its type; expressions within text make a string.

    `parts` are texts, and expressions with their offsets.
    """

    text: str
    parts: tuple[str | tuple[int, Expression], ...]

    @property
    def reads(self) -> tuple[Read, ...]:
        """The names that the expressions read, and their offsets in the text."""
        found = [part for part in self.parts if not isinstance(part, str)]
        return tuple((name, start + offset) for start, expression in found for name, offset in expression.reads)

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """The value of the string, given the values of its names. Raises ExpressionError."""
        if len(self.parts) == 1:
            return _value(self.parts[0], names)
        text = ""
        for part in self.parts:
            value = _value(part, names)
            start = 0 if isinstance(part, str) else part[0]
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise ExpressionError(f"cannot write {show(value)} inside a string", start)
            text += str(value)
            if len(text) > MAX_LIST:
                raise ExpressionError(f"the string is longer than {MAX_LIST:,} characters", start)
        return text


def _value(part: str | tuple[int, Expression], names: Mapping[str, Any]) -> Any:
    if isinstance(part, str):
        return part
    start, expression = part
    try:
        return expression.evaluate(names)
    except ExpressionError as error:
        raise error.shifted(start) from error


def is_dynamic(text: str) -> bool:
    """Whether a string contains expressions or an escaped dollar."""
    return "$" in text


def escape(text: str) -> str:
    """The template that evaluates to this text.

    >>> parse_template(escape("$1")).evaluate({})
    '$1'
    """
    return text.replace("$", "$$")


@lru_cache(maxsize=4096)
def parse_template(text: str) -> Template:
    """The template that a text spells. Raises ExpressionError.

    >>> parse_template("stage_${index + 1}").evaluate({"index": 0})
    'stage_1'
    """
    if len(text) > MAX_LIST:
        raise ExpressionError(f"a string with expressions has {len(text):,} characters", help=f"at most {MAX_LIST:,}")
    parts: list[str | tuple[int, Expression]] = []
    literal, position = "", 0
    while (dollar := text.find("$", position)) >= 0:
        literal += text[position:dollar]
        if text.startswith("$$", dollar):
            literal += "$"
            position = dollar + 2
            continue
        start, end, position = _span(text, dollar)
        parts += [literal] if literal else []
        parts.append((start, _parse_within(text, start, end)))
        literal = ""
    literal += text[position:]
    return Template(text, (*parts, literal) if literal or not parts else tuple(parts))


def parse_condition(text: str) -> tuple[int, Expression]:
    """The offset and the expression of a condition, with or without `${…}`. Raises ExpressionError."""
    braced = text.startswith("${") and text.endswith("}")
    start, end = (2, len(text) - 1) if braced else (0, len(text))
    return start, _parse_within(text, start, end)


def _parse_within(text: str, start: int, end: int) -> Expression:
    try:
        return parse(text[start:end])
    except ExpressionError as error:
        raise error.shifted(start) from error


_BRACED = re.compile(r"(?:'[^']*'|\"[^\"]*\"|[^}'\"])*\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


def _span(text: str, dollar: int) -> tuple[int, int, int]:
    """Start and end of the expression after a dollar, and where the text continues."""
    if text.startswith("${", dollar):
        closing = _BRACED.match(text, dollar + 2)
        if closing is None:
            raise ExpressionError("`${` is never closed", dollar, 2, "add `}`, and close its strings")
        return dollar + 2, closing.end() - 1, closing.end()
    name = _NAME.match(text, dollar + 1)
    if name is None:
        raise ExpressionError("a lone `$`", dollar, 1, "write `$name`, `${expression}`, or `$$` for the sign itself")
    if text.startswith("[", name.end()):
        raise ExpressionError("`$name[…]` needs braces", dollar, 1, f"write `${{{name.group()}[…]}}`")
    return dollar + 1, name.end(), name.end()
