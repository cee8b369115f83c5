"""A small Python-like expression language: our own parser over our own tree, and nothing that could run code."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from composer.errors import one_of, suggest

MAX_TEXT = 1000
MAX_NESTING = 32
MAX_NUMBER = 10**15
MAX_LIST = 10_000


class ExpressionError(ValueError):
    """What is wrong with an expression, and where in its text."""

    def __init__(self, message: str, offset: int = 0, length: int = 1, help: str = "") -> None:
        super().__init__(message)
        self.offset, self.length, self.help = offset, length, help


@dataclass(frozen=True)
class Token:
    """A word of an expression and where it starts."""

    kind: str
    text: str
    offset: int


_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?)|(?P<string>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<op>\*\*|//|==|!=|<=|>=|&&|\|\||[-+*/%<>()\[\],.=!]))"
)
_MISTAKES = {
    "**": "there is no `**`; multiply instead",
    "=": "compare with `==`",
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
}
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_WORDS = {"and", "or", "not", "in", "if", "else"}


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of the divisor nearest to the value, never more than 10 % below it (MobileNet's rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "len": len,
    "log2": math.log2,
    "abs": abs,
    "int": int,
    "make_divisible": make_divisible,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_STRENGTH = {"+": 6, "-": 6, "*": 7, "/": 7, "//": 7, "%": 7}
_COMPARISONS = {*_ORDER, "==", "!=", "in", "not in"}


@dataclass(frozen=True)
class Tree:
    """A node of the parsed expression: what to do, with what, and where it stands."""

    kind: str
    value: Any
    children: tuple[Tree, ...]
    offset: int


@dataclass(frozen=True)
class Expression:
    """A parsed expression. `names` are those it reads, `facts` their full dotted form."""

    text: str
    tree: Tree
    names: frozenset[str]
    facts: frozenset[str]

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """Its value where these names are known. Raises ExpressionError."""
        return _bounded(_evaluate(self.tree, names), self.tree)


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """The expression a text spells. Raises ExpressionError."""
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"the expression has {len(text)} characters, at most {MAX_TEXT} are allowed")
    tree = _Parser(text).whole()
    facts = frozenset(node.value for node in _walk(tree) if node.kind == "name")
    return Expression(text, tree, frozenset(fact.partition(".")[0] for fact in facts), facts)


def _walk(tree: Tree) -> Iterator[Tree]:
    yield tree
    for child in tree.children:
        yield from _walk(child)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.position = 0
        self.nesting = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def take(self, *texts: str) -> Token | None:
        token = self.token
        if token.kind in ("op", "word") and token.text in texts:
            self.position += 1
            return token
        return None

    def need(self, text: str) -> None:
        if self.take(text) is None:
            raise self.unexpected(f"`{text}`")

    def unexpected(self, wanted: str) -> ExpressionError:
        token = self.token
        found = "the end" if token.kind == "end" else f"`{token.text}`"
        return ExpressionError(
            f"expected {wanted}, found {found}", token.offset, max(1, len(token.text)), _MISTAKES.get(token.text, "")
        )

    def whole(self) -> Tree:
        tree = self.conditional()
        if self.token.kind != "end":
            raise self.unexpected("an operator or the end")
        return tree

    def conditional(self) -> Tree:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise ExpressionError(f"nested deeper than {MAX_NESTING}", self.token.offset)
        tree = self.either()
        if token := self.take("if"):
            condition = self.either()
            self.need("else")
            tree = Tree("if", None, (condition, tree, self.conditional()), token.offset)
        self.nesting -= 1
        return tree

    def either(self) -> Tree:
        tree = self.both()
        while token := self.take("or"):
            tree = Tree("or", None, (tree, self.both()), token.offset)
        return tree

    def both(self) -> Tree:
        tree = self.negation()
        while token := self.take("and"):
            tree = Tree("and", None, (tree, self.negation()), token.offset)
        return tree

    def negation(self) -> Tree:
        trail = []
        while token := self.take("not"):
            trail.append(token)
        tree = self.comparison()
        for token in reversed(trail):
            tree = Tree("not", None, (tree,), token.offset)
        return tree

    def comparison(self) -> Tree:
        operands, operators = [self.arithmetic(5)], []
        offset = self.token.offset
        while token := self.take(*_COMPARISONS, "not"):
            text = token.text
            if text == "not":
                self.need("in")
                text = "not in"
            operators.append(text)
            operands.append(self.arithmetic(5))
        return Tree("compare", tuple(operators), tuple(operands), offset) if operators else operands[0]

    def arithmetic(self, strength: int) -> Tree:
        tree = self.unary()
        while self.token.kind == "op" and _STRENGTH.get(self.token.text, 0) > strength:
            token = self.token
            self.position += 1
            tree = Tree("arithmetic", token.text, (tree, self.arithmetic(_STRENGTH[token.text])), token.offset)
        return tree

    def unary(self) -> Tree:
        signs = []
        while token := self.take("-", "+"):
            signs.append(token)
        tree = self.postfix()
        for token in reversed(signs):
            zero = Tree("constant", 0, (), token.offset)
            tree = Tree("arithmetic", token.text, (zero, tree), token.offset)
        return tree

    def postfix(self) -> Tree:
        tree = self.atom()
        while True:
            if token := self.take("["):
                tree = Tree("index", None, (tree, self.conditional()), token.offset)
                self.need("]")
            elif tree.kind == "name" and self.take("."):
                name = self.token
                if name.kind != "name":
                    raise self.unexpected("a name")
                self.position += 1
                tree = Tree("name", f"{tree.value}.{name.text}", (), tree.offset)
            else:
                return tree

    def atom(self) -> Tree:
        token = self.token
        if self.take("("):
            tree = self.conditional()
            self.need(")")
            return tree
        if self.take("["):
            return Tree("list", None, self.items("]"), token.offset)
        if token.kind not in ("number", "string", "name"):
            raise self.unexpected("a value")
        self.position += 1
        if token.kind == "number":
            return Tree("constant", _number(token), (), token.offset)
        if token.kind == "string":
            return Tree("constant", token.text[1:-1], (), token.offset)
        if token.text in _CONSTANTS:
            return Tree("constant", _CONSTANTS[token.text], (), token.offset)
        if self.take("("):
            if token.text not in _FUNCTIONS:
                nearest = suggest(token.text, _FUNCTIONS)
                help = f"did you mean `{nearest}`?" if nearest else f"there are {one_of(_FUNCTIONS)}"
                raise ExpressionError(f"there is no function `{token.text}`", token.offset, len(token.text), help)
            return Tree("call", token.text, self.items(")"), token.offset)
        return Tree("name", token.text, (), token.offset)

    def items(self, end: str) -> tuple[Tree, ...]:
        found: list[Tree] = []
        while self.take(end) is None:
            found.append(self.conditional())
            if self.take(",") is None:
                self.need(end)
                break
        return tuple(found)


def _tokens(text: str) -> Iterator[Token]:
    position, end = 0, len(text.rstrip())
    if not end:
        raise ExpressionError("the expression is empty", 0, 1, "write a value between the braces")
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise ExpressionError(f"`{text[start]}` is not part of the expression language", start)
        kind = str(match.lastgroup)
        word = match.group(kind)
        if kind == "name" and word in _WORDS:
            kind = "word"
        yield Token(kind, word, match.start(match.lastgroup or 0))
        position = match.end()
    yield Token("end", "", end)


def _number(token: Token) -> int | float:
    value = int(token.text) if token.text.isdigit() and len(token.text) < 20 else float(token.text)
    if abs(value) > MAX_NUMBER:
        raise ExpressionError(f"numbers stop at {MAX_NUMBER:,}", token.offset, len(token.text))
    return value


def _evaluate(tree: Tree, names: Mapping[str, Any]) -> Any:
    match tree.kind:
        case "constant":
            return tree.value
        case "name":
            return _lookup(tree, names)
        case "list":
            return [_evaluate(child, names) for child in tree.children]
        case "if":
            condition, yes, no = tree.children
            return _evaluate(yes if _truth(condition, names) else no, names)
        case "and":
            return all(_truth(child, names) for child in tree.children)
        case "or":
            return any(_truth(child, names) for child in tree.children)
        case "not":
            return not _truth(tree.children[0], names)
        case "compare":
            return _compare(tree, [_evaluate(child, names) for child in tree.children])
    values = [_evaluate(child, names) for child in tree.children]
    try:
        if tree.kind == "index":
            return _index(tree, *values)
        if tree.kind == "call":
            return _bounded(_call(tree, values), tree)
        return _bounded(_calculate(tree, *values), tree)
    except (ArithmeticError, TypeError, ValueError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"cannot compute this: {error}", tree.offset) from error


def _lookup(tree: Tree, names: Mapping[str, Any]) -> Any:
    first, *rest = tree.value.split(".")
    if first not in names:
        nearest = suggest(first, names)
        help = f"did you mean `{nearest}`?" if nearest else f"known here: {one_of(sorted(names))}"
        raise ExpressionError(f"unknown name `{first}`", tree.offset, len(first), help)
    value = names[first]
    for step in rest:
        if not isinstance(value, Mapping) or step not in value:
            known = one_of(value) if isinstance(value, Mapping) else "none, it is a value"
            raise ExpressionError(f"`{first}` has no `{step}` here", tree.offset, len(tree.value), f"it has {known}")
        value = value[step]
    return value


def _truth(tree: Tree, names: Mapping[str, Any]) -> bool:
    value = _evaluate(tree, names)
    if not isinstance(value, bool) and value is not None:
        raise ExpressionError(f"{value!r} is neither true nor false", tree.offset, 1, "compare it with something")
    return bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compare(tree: Tree, values: list[Any]) -> bool:
    pairs = zip(tree.value, values, values[1:], strict=False)
    return all(_compare_two(tree, symbol, left, right) for symbol, left, right in pairs)


def _compare_two(tree: Tree, symbol: str, left: Any, right: Any) -> bool:
    if symbol in ("==", "!="):
        equal = left == right and isinstance(left, bool) == isinstance(right, bool)
        return equal == (symbol == "==")
    if symbol in ("in", "not in"):
        if not isinstance(right, list):
            raise ExpressionError(f"`{symbol}` looks into a list, not {right!r}", tree.offset)
        return (left in right) == (symbol == "in")
    # A fact that a place does not have never satisfies a comparison.
    if left is None or right is None:
        return False
    if not (_is_number(left) and _is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        raise ExpressionError(f"cannot order {left!r} and {right!r}", tree.offset, len(symbol))
    return _ORDER[symbol](left, right)


def _calculate(tree: Tree, left: Any, right: Any) -> Any:
    joined = tree.value == "+" and isinstance(left, str) and isinstance(right, str)
    if not joined and not (_is_number(left) and _is_number(right)):
        raise ExpressionError(f"`{tree.value}` needs two numbers, found {left!r} and {right!r}", tree.offset)
    if tree.value in ("/", "//", "%") and right == 0:
        raise ExpressionError("division by zero", tree.offset, len(tree.value))
    return _ARITHMETIC[tree.value](left, right)


def _index(tree: Tree, value: Any, index: Any) -> Any:
    if isinstance(value, Mapping):
        if index not in value:
            raise ExpressionError(f"there is no key {index!r}", tree.offset, 1, f"there are {one_of(map(str, value))}")
        return value[index]
    if not isinstance(value, list) or not isinstance(index, int) or isinstance(index, bool):
        raise ExpressionError(f"cannot take item {index!r} of {value!r:.60}", tree.offset)
    if not -len(value) <= index < len(value):
        raise ExpressionError(f"there is no item {index} in a list of {len(value)}", tree.offset)
    return value[index]


def _call(tree: Tree, values: list[Any]) -> Any:
    flat = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    if tree.value == "len":
        if len(values) != 1 or not isinstance(values[0], list | str):
            raise ExpressionError("`len` takes one list or string", tree.offset, 3)
        return len(values[0])
    if not all(_is_number(value) for value in flat):
        raise ExpressionError(f"`{tree.value}` takes numbers, found {flat!r:.60}", tree.offset, len(tree.value))
    return _FUNCTIONS[tree.value](*values)


def _bounded(value: Any, tree: Tree) -> Any:
    if _is_number(value) and not abs(value) <= MAX_NUMBER:
        raise ExpressionError(f"the result is beyond {MAX_NUMBER:,}", tree.offset)
    if isinstance(value, str | list) and len(value) > MAX_LIST:
        raise ExpressionError(f"the result is longer than {MAX_LIST:,}", tree.offset)
    return value


@dataclass(frozen=True)
class Template:
    """A string with expressions in it: `$name`, `${…}` alone keep their type, mixed ones make a string."""

    text: str
    parts: tuple[str | tuple[int, Expression], ...]

    @property
    def names(self) -> frozenset[str]:
        """The names its expressions read."""
        found = [part[1].names for part in self.parts if not isinstance(part, str)]
        return frozenset().union(*found)

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """Its value where these names are known. Raises ExpressionError."""
        values = [part if isinstance(part, str) else _shifted(part, names) for part in self.parts]
        if len(values) == 1:
            return values[0]
        for value in values:
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise ExpressionError(f"cannot write {value!r:.60} inside a string")
        return "".join(map(str, values))


def _shifted(part: tuple[int, Expression], names: Mapping[str, Any]) -> Any:
    offset, expression = part
    try:
        return expression.evaluate(names)
    except ExpressionError as error:
        raise ExpressionError(str(error), error.offset + offset, error.length, error.help) from error


def is_dynamic(text: str) -> bool:
    """Whether a string has expressions (or an escaped dollar) in it."""
    return "$" in text


@lru_cache(maxsize=4096)
def parse_template(text: str) -> Template:
    """The parts of a string with expressions. Raises ExpressionError."""
    parts: list[str | tuple[int, Expression]] = []
    position = 0
    while position < len(text):
        dollar = text.find("$", position)
        if dollar < 0:
            parts.append(text[position:])
            break
        if dollar > position:
            parts.append(text[position:dollar])
        if text.startswith("$$", dollar):
            parts.append("$")
            position = dollar + 2
            continue
        start, end, position = _span(text, dollar)
        try:
            parts.append((start, parse(text[start:end])))
        except ExpressionError as error:
            raise ExpressionError(str(error), error.offset + start, error.length, error.help) from error
    if len(parts) > 1 and all(isinstance(part, str) for part in parts):
        parts = ["".join(str(part) for part in parts)]
    return Template(text, tuple(parts))


def _span(text: str, dollar: int) -> tuple[int, int, int]:
    """Start and end of the expression behind a dollar, and where the text goes on."""
    if text.startswith("${", dollar):
        closing = re.compile(r"(?:'[^']*'|\"[^\"]*\"|[^}'\"])*\}").match(text, dollar + 2)
        if closing is None:
            raise ExpressionError("`${` is never closed", dollar, 2, "add `}`")
        return dollar + 2, closing.end() - 1, closing.end()
    name = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII).match(text, dollar + 1)
    if name is None:
        raise ExpressionError("a lone `$`", dollar, 1, "write `$name`, `${expression}`, or `$$` for the sign itself")
    if text.startswith("[", name.end()):
        raise ExpressionError("`$name[…]` needs braces", dollar, 1, f"write `${{{name.group()}[…]}}`")
    return dollar + 1, name.end(), name.end()
