"""The equations of docstrings as MathML, for pages: `y = x * sigmoid(W2 relu(W1 mean_hw(x)))`.

Their notation is plain text: `_` before a subscript, ² and ᵀ, `*` for a product element by element, `sqrt(…)`, `a / b`,
Greek letters by name. Words between are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

# A name of MathML or HTML with what it holds: `["mi", "x"]`, `["mrow", [...], [...]]`. A page has it as JSON.
Tree = list["str | Tree"]

_GREEK = {
    **{"alpha": "α", "beta": "β", "gamma": "γ", "eps": "ε", "theta": "θ", "lambda": "λ", "pi": "π", "sigma": "σ"},
    **{"tau": "τ", "phi": "φ", "psi": "ψ"},
}
# Names of more than one small letter that stand for tensors and positions, not for words.
_NAMES = frozenset({"ij", "hw", "ab", "uv", "other", "high", "floor", "exp", "log2"})
_NAMES |= {"relu", "gelu", "silu", "sigmoid", "softmax", "tanh", "hswish"}
_SIGNS = {"*": "⊙", "-": "−", "->": "→", "...": "…", "<=": "≤", ">=": "≥", "//": "//"}
_POWERS = {"²": "2", "³": "3", "ᵀ": "⊤"}
# Between clauses.
_GAP = "\u2003"
_PAIRS = {"(": ")", "[": "]", "{": "}", "|": "|"}
_TOKEN = re.compile(
    r"(?P<code>`[^`]+`)"
    # The head's, every k-th, dot_product.
    r"|(?P<word>[A-Za-z]+'s\b|[A-Za-z]+-(?:th\b|θ)|(?!softmax)[a-z]{2,}_[a-z]{4,})"
    r"|(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)"
    r"|(?P<name>[a-z]+\d+x\d+|[A-Za-zα-ωΑ-Ω]\u0304?[A-Za-zα-ωΑ-Ω]*[0-9]*'*)"
    r"|(?P<sub>_(?:\([^)]*\)|[A-Za-z0-9]+(?:[+\-×,][A-Za-z0-9]+)*))"
    r"|(?P<power>[²³ᵀ])"
    r"|(?P<sign>->|//|<=|>=|\.\.\.|[-+*/=<>·×…|^~])"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<mark>[,;:.])"
    r"|(?P<space>\s+)"
    r"|(?P<rest>.)"
)


@dataclass
class _Token:
    kind: str
    text: str
    # What follows it immediately.
    after: str = ""


def mathml(text: str) -> str:
    """The equations of a docstring as HTML: a line for each of its own, formulas as MathML.

    >>> mathml("y = A xᵀ")
    '<p><math><mi>y</mi><mo>=</mo><mi>A</mi><mtext>\u2009</mtext><msup><mi>x</mi><mo>⊤</mo></msup></math></p>'
    >>> mathml("over all positions")
    '<p>over all positions</p>'
    """
    return "".join(markup(line) for line in lines(text))


def lines(text: str) -> list[Tree]:
    """A `p` for each line of the equations: words, `code` and `math`."""
    return [["p", *_pieces(line)] for line in text.splitlines()]


def markup(tree: str | Tree) -> str:
    """A tree as HTML."""
    if isinstance(tree, str):
        return escape(tree, quote=False)
    name, *inside = tree
    return f"<{name}>{''.join(map(markup, inside))}</{name}>"


def _pieces(line: str) -> Iterator[str | Tree]:
    """Words as text, and formulas between them."""
    run: list[_Token] = []
    tokens = list(_tokens(line))
    for index, token in enumerate(tokens):
        if _is_formula(token, tokens[:index], tokens[index + 1 :]):
            run.append(token)
            continue
        yield from _formula(run)
        run = []
        yield ["code", token.text[1:-1]] if token.kind == "code" else _GAP if token.kind == "space" else token.text
    yield from _formula(run)


def _tokens(line: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(line):
        yield _Token(found.lastgroup or "", found[0], line[found.end() : found.end() + 1])


def _is_formula(token: _Token, before: Sequence[_Token], later: Sequence[_Token]) -> bool:
    """Whether a token belongs to a formula, and is no word."""
    if token.kind in ("code", "word", "rest"):
        return False
    if token.kind == "space":
        # Clauses are apart by more than one space.
        return len(token.text) == 1
    if token.kind != "name":
        return True
    return not (_is_article(token, before, later) or _is_word(token))


def _is_article(token: _Token, before: Sequence[_Token], later: Sequence[_Token]) -> bool:
    """Whether `a` is the article: behind no sign, and in front of a word or of a size."""
    if token.text != "a" or token.after != " " or len(later) < 2:
        return False
    is_operand = len(before) > 1 and before[-2].kind == "sign"
    return not is_operand and (_is_word(later[1]) if later[1].kind == "name" else later[1].kind == "number")


def _is_word(token: _Token) -> bool:
    name = token.text
    if token.after in ("(", "[", "_") or name in _NAMES or name in _GREEK:
        return False
    return len(name.rstrip("'0123456789")) > 1 and not name.isupper() and not name[:2].isupper()


def _formula(run: list[_Token]) -> Iterator[str | Tree]:
    """The `math` of a run of tokens, with what stands around it."""
    start, end = 0, len(run)
    while start < end and run[start].kind in ("space", "mark"):
        start += 1
    while end > start and run[end - 1].kind in ("space", "mark"):
        end -= 1
    before, after = ("".join(one.text for one in part) for part in (run[:start], run[end:]))
    if before:
        yield before
    inside = run[start:end]
    if any(one.kind in ("name", "number") for one in inside):
        yield ["math", *_Reader(inside).row()]
    elif inside:
        yield "".join(one.text for one in inside)
    if after:
        yield after


@dataclass
class _Reader:
    """Reads a formula from left to right."""

    tokens: list[_Token]
    at: int = 0

    def row(self, end: str = "") -> list[Tree]:
        """What stands up to a closing bracket, or to the end."""
        found: list[Tree] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.text == end:
                break
            if token.text == "/" and (above := _product(found)) and self.has_more(end):
                self.at += 1
                while found and found[-1][0] != "mo":
                    found.pop()
                found.append(["mfrac", _grouped(above), _grouped(self.denominator(end))])
            elif token.kind == "space":
                self.at += 1
                found.append(["mtext", "\u2009"])
            else:
                found.append(self.factor(end))
        return _without_needless_spaces(found)

    def denominator(self, end: str) -> list[Tree]:
        """The factor behind a stroke; of 2H, both."""
        found = [self.factor(end)]
        while (after := self.peek()) is not None and after.kind == "name" and self.tokens[self.at - 1].kind == "number":
            found.append(self.factor(end))
        return found

    def has_more(self, end: str) -> bool:
        later = [one for one in self.tokens[self.at + 1 :] if one.kind != "space"]
        return bool(later) and later[0].text != end and later[0].kind in ("name", "number", "open")

    def factor(self, end: str) -> Tree:
        """A name, number or bracket with what belongs to it: subscripts, powers, and what a function is given."""
        while self.tokens[self.at].kind == "space":
            self.at += 1
        token = self.tokens[self.at]
        found = self.with_marks(self.bracket() if token.text in _PAIRS else self.atom())
        after = self.peek()
        if token.kind == "name" and after is not None and after.text in ("(", "["):
            given = self.bracket()
            found = self.with_marks(["msqrt", *_inside(given)] if token.text == "sqrt" else ["mrow", found, given])
        return found

    def with_marks(self, found: Tree) -> Tree:
        """With the subscripts and powers that follow."""
        while (after := self.peek()) is not None and after.kind in ("sub", "power"):
            self.at += 1
            found = _below(found, after.text[1:]) if after.kind == "sub" else _above(found, after.text)
        return found

    def peek(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def bracket(self) -> Tree:
        """A bracket with its content; alone where nothing closes it."""
        opening = self.tokens[self.at].text
        start = self.at = self.at + 1
        found = self.row(_PAIRS[opening])
        if self.at < len(self.tokens):
            self.at += 1
            return ["mrow", ["mo", opening], *found, ["mo", _PAIRS[opening]]]
        self.at = start
        return ["mo", opening]

    def atom(self) -> Tree:
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "number":
            return ["mn", token.text]
        if token.kind == "name":
            return _name(token.text)
        return ["mo", _SIGNS.get(token.text, token.text)]


def _name(text: str) -> Tree:
    """A name: Greek by its letter, digits below, primes above."""
    if sized := re.fullmatch(r"([a-z]+)(\d+)x(\d+)", text):
        return ["msub", ["mi", sized[1]], _subscript(f"{sized[2]}×{sized[3]}")]
    bare = text.rstrip("'")
    letters = bare.rstrip("0123456789")
    found: Tree = ["mi", _GREEK.get(letters, letters)]
    if letters != bare and letters:
        found = ["msub", found, ["mn", bare[len(letters) :]]]
    return ["msup", found, ["mo", "′" * (len(text) - len(bare))]] if bare != text else found


def _below(found: Tree, text: str) -> Tree:
    """With a subscript; a prime stays above."""
    return (
        ["msubsup", found[1], _subscript(text), found[2]] if found[0] == "msup" else ["msub", found, _subscript(text)]
    )


def _above(found: Tree, power: str) -> Tree:
    """With a power, beside the subscript."""
    sign: Tree = ["mo" if power == "ᵀ" else "mn", _POWERS[power]]
    return ["msubsup", *found[1:], sign] if found[0] == "msub" else ["msup", found, sign]


def _product(row: list[Tree]) -> list[Tree]:
    """The factors in the end of a row, up to the sign before them."""
    start = max((index + 1 for index, one in enumerate(row) if one[0] == "mo"), default=0)
    return _without_needless_spaces(row[start:])


def _without_needless_spaces(found: list[Tree]) -> list[Tree]:
    """A row with spaces only between factors: signs have their own."""

    def is_space(tree: Tree) -> bool:
        return tree[0] == "mtext"

    return [
        one
        for index, one in enumerate(found)
        if not is_space(one) or (0 < index < len(found) - 1 and "mo" not in (found[index - 1][0], found[index + 1][0]))
    ]


def _subscript(text: str) -> Tree:
    inner = text[1:-1] if text.startswith("(") else text
    parts = [_part(one) for one in re.findall(r"\d+|[^\W\d]+|\S", inner)]
    return parts[0] if len(parts) == 1 else ["mrow", *parts]


def _part(text: str) -> Tree:
    if text.isdigit():
        return ["mn", text]
    return ["mi", _GREEK.get(text, text)] if text.isalpha() else ["mo", _SIGNS.get(text, text)]


def _inside(tree: Tree) -> list[Tree]:
    """What a bracket holds."""
    return [one for one in tree[2:-1] if isinstance(one, list)] if tree[0] == "mrow" else [tree]


def _grouped(row: list[Tree]) -> Tree:
    """A row as one; without the signs of a bracket that is all, because a fraction groups what is in it."""
    (first, *others) = row
    if others:
        return ["mrow", *row]
    is_bracket = first[0] == "mrow" and first[1] == ["mo", "("] and first[-1] == ["mo", ")"]
    return ["mrow", *_inside(first)] if is_bracket else first
