"""The words of an expression, and their errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from composer.errors import typed

MAX_TEXT = 1000


class ExpressionError(ValueError):
    """An error in an expression, and where in its text."""

    def __init__(self, message: str, offset: int = 0, length: int = 1, help: str = "") -> None:
        super().__init__(message)
        self.offset, self.length, self.help = offset, length, help

    def shifted(self, by: int) -> ExpressionError:
        """The same error for an expression that starts further right in a longer text."""
        return ExpressionError(str(self), self.offset + by, self.length, self.help)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of an expression and where it starts."""

    kind: str
    text: str
    offset: int
    length: int


_SPACE = " \t\r\n"
_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
    (?P<number>(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?)
    |(?P<string>'[^']*'|"[^"]*")
    |(?P<word>(?:not[ \t\r\n]+in|and|or|not|in|if|else)(?![A-Za-z0-9_.]))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<op>\*\*|//|==|!=|<=|>=|&&|\|\||[-+*/%<>()\[\],.:=!])
    )""",
    re.VERBOSE,
)
_STRAY = {
    "$": "inside an expression a name stands without `$`",
    "'": "the string is never closed",
    '"': "the string is never closed",
    "{": "there are no braces inside an expression",
    "}": "there are no braces inside an expression",
    "^": "write `pow(2, 3)`, or multiply",
    "?": "write `a if condition else b`",
}


def tokens(text: str) -> Iterator[Token]:
    """The words of an expression, then a token of kind `end`. Raises ExpressionError."""
    if len(text) > MAX_TEXT:
        raise ExpressionError(
            f"the expression has {len(text):,} characters", help=f"at most {MAX_TEXT:,}: compute parts of it in `vars`"
        )
    position, end = 0, len(text.rstrip(_SPACE))
    if not end:
        raise ExpressionError("the expression is empty", help="write a value")
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            start = end - len(text[position:end].lstrip(_SPACE))
            help = _STRAY.get(text[start]) or typed(text[start])
            raise ExpressionError(f"`{text[start]}` is not part of the expression language", start, 1, help)
        kind = str(match.lastgroup)
        start, position = match.span(kind)
        word = match.group(kind)
        # `not in` may have several spaces.
        yield Token(kind, " ".join(word.split()) if kind == "word" else word, start, len(word))
    yield Token("end", "", end, 1)
