"""The text of an expression -> a tree. A chain of equal operators is a single node, so no text makes a deep tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from composer.errors import one_of, suggest
from composer.spec.evaluate import COMPARISONS, MAX_NUMBER, Tree
from composer.spec.functions import FUNCTIONS
from composer.spec.tokens import ExpressionError, Token, tokens

MAX_NESTING = 16

_CONSTANTS: dict[str, Any] = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_MISTAKES = {
    "**": "write `pow(2, 3)`, or multiply",
    "=": "compare with `==`",
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    "is": "compare with `==` or `!=`",
}


def parse_tree(text: str) -> Tree:
    """The tree of an expression. Raises ExpressionError."""
    return _Parser(text).whole()


class _Parser:
    """Python's precedence, one method per level."""

    def __init__(self, text: str) -> None:
        self.tokens = list(tokens(text))
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
        help = _MISTAKES.get(token.text, "")
        if token.text == "!" and (following := self.tokens[self.position + 1]).kind == "name":
            help = f"write `not {following.text}`"
        return ExpressionError(f"expected {wanted}, found {found}", token.offset, token.length, help)

    def whole(self) -> Tree:
        tree = self.conditional()
        if self.token.kind != "end":
            raise self.unexpected("an operator or the end")
        return tree

    def conditional(self) -> Tree:
        start = self.token
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            text = f"the expression nests deeper than {MAX_NESTING}"
            raise ExpressionError(text, start.offset, 1, "compute parts of it in `vars`")
        *parts, last = [self.either()]
        while self.take("if"):
            condition = self.either()
            self.need("else")
            parts += [condition, last]
            last = self.either()
        self.nesting -= 1
        return Tree("if", start, None, (*parts, last)) if parts else last

    def either(self) -> Tree:
        return self.chain("or", self.both)

    def both(self) -> Tree:
        return self.chain("and", self.negation)

    def chain(self, word: str, operand: Callable[[], Tree]) -> Tree:
        found = [operand()]
        while self.take(word):
            found.append(operand())
        return Tree(word, found[0].word, None, tuple(found)) if len(found) > 1 else found[0]

    def negation(self) -> Tree:
        start, count = self.token, 0
        while self.take("not"):
            count += 1
        tree = self.comparison()
        return Tree("not", start, count % 2 == 1, (tree,)) if count else tree

    def comparison(self) -> Tree:
        return self.operation("compare", COMPARISONS, self.sum)

    def sum(self) -> Tree:
        return self.operation("arithmetic", ("+", "-"), self.product)

    def product(self) -> Tree:
        return self.operation("arithmetic", ("*", "/", "//", "%"), self.signed)

    def operation(self, kind: str, symbols: tuple[str, ...], operand: Callable[[], Tree]) -> Tree:
        operands, words = [operand()], []
        while word := self.take(*symbols):
            words.append(word)
            operands.append(operand())
        return Tree(kind, words[0], None, tuple(operands), tuple(words)) if words else operands[0]

    def signed(self) -> Tree:
        start, signs = self.token, []
        while sign := self.take("-", "+"):
            signs.append(sign.text)
        tree = self.item()
        return Tree("sign", start, signs.count("-") % 2 == 1, (tree,)) if signs else tree

    def item(self) -> Tree:
        operands, words = [self.atom()], []
        while word := self.take("["):
            words.append(word)
            operands.append(self.index())
        return Tree("index", words[0], None, tuple(operands), tuple(words)) if words else operands[0]

    def index(self) -> Tree:
        """What follows a `[`, with the closing one: an index, or a slice `start:stop:step`."""
        parts = [self.bound(":")]
        while len(parts) < 3 and self.take(":"):
            parts.append(self.bound(":", "]"))
        self.need("]")
        return Tree("slice", parts[0].word, None, tuple(parts)) if len(parts) > 1 else parts[0]

    def bound(self, *ends: str) -> Tree:
        """A part of a slice; null where nothing stands before one of the `ends`."""
        token = self.token
        return Tree("constant", token) if token.kind == "op" and token.text in ends else self.conditional()

    def atom(self) -> Tree:
        token = self.token
        if self.take("("):
            tree = self.conditional()
            self.need(")")
            return tree
        if self.take("["):
            return Tree("list", token, None, self.items("]"))
        if token.kind not in ("number", "string", "name"):
            raise self.unexpected("a value")
        self.position += 1
        if token.kind == "number":
            return Tree("constant", token, _number(token))
        if token.kind == "string":
            return Tree("constant", token, token.text[1:-1])
        if token.text in _CONSTANTS:
            return Tree("constant", token, _CONSTANTS[token.text])
        if self.take("("):
            if token.text not in FUNCTIONS:
                nearest = suggest(token.text, FUNCTIONS)
                help = f"did you mean `{nearest}`?" if nearest else f"there are {one_of(FUNCTIONS)}"
                raise ExpressionError(f"there is no function `{token.text}`", token.offset, token.length, help)
            return Tree("call", token, None, self.items(")"))
        return Tree("name", token)

    def items(self, end: str) -> tuple[Tree, ...]:
        found: list[Tree] = []
        while self.take(end) is None:
            found.append(self.conditional())
            if self.take(",") is None:
                self.need(end)
                break
        return tuple(found)


def _number(token: Token) -> int | float:
    # Python takes long to read an integer of thousands of digits.
    value = int(token.text) if token.text.isdigit() and token.length < 20 else float(token.text)
    if value > MAX_NUMBER:
        raise ExpressionError(f"numbers stop at {MAX_NUMBER:,}", token.offset, token.length)
    return value
