"""The value of a parsed expression, given the values of its names. Every result is bounded in size."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from composer.amounts import plural
from composer.errors import one_of, suggest
from composer.spec.document import MAX_DEPTH
from composer.spec.functions import FUNCTIONS, MAX_LIST, Function
from composer.spec.tokens import ExpressionError, Token

MAX_NUMBER = 10**15


@dataclass(frozen=True, slots=True)
class Tree:
    """A node of the parsed expression: the kind of operation, its operands, and the word at which it stands.

    `words` are the operators between the operands, or the brackets of an index.
    """

    kind: str
    word: Token
    value: Any = None
    children: tuple[Tree, ...] = ()
    words: tuple[Token, ...] = ()


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
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
COMPARISONS = (*_ORDER, "==", "!=", "in", "not in")

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxstring, _SHORT.maxother = 2, 6, 60, 60
_SPELLED = {True: "true", False: "false", None: "null"}


def show(value: Any) -> str:
    """A value for a message: as YAML writes it, shortened."""
    return _SPELLED[value] if value is None or isinstance(value, bool) else _SHORT.repr(value)


def size(value: Any, limit: int) -> int:
    """The number of values inside a value, with itself; `limit + 1` if there are more, or if it is too deep.

    A list that appears many times inside another takes no memory until it is written out.
    """
    count, waiting = 0, [(value, 1)]
    while waiting and count <= limit:
        one, depth = waiting.pop()
        count += 1
        children = one if isinstance(one, list) else one.values() if isinstance(one, dict) else ()
        if children and depth > MAX_DEPTH:
            return limit + 1
        waiting += [(child, depth + 1) for child in islice(children, limit)]
    return count


def evaluate(tree: Tree, names: Mapping[str, Any]) -> Any:
    """The value of a tree, given the values of its names. Raises ExpressionError."""
    children = tree.children
    match tree.kind:
        case "constant":
            return tree.value
        case "name":
            return _lookup(tree.word, names)
        case "if":
            *choices, otherwise = children
            pairs = zip(choices[::2], choices[1::2], strict=True)
            return evaluate(next((yes for condition, yes in pairs if _truth(condition, names)), otherwise), names)
        case "and":
            return all(_truth(child, names) for child in children)
        case "or":
            return any(_truth(child, names) for child in children)
        case "not":
            return _truth(children[0], names) != tree.value
    values = [evaluate(child, names) for child in children]
    match tree.kind:
        case "list":
            return _bounded(values, tree.word)
        case "slice":
            return _slice(tree.word, values)
        case "compare":
            steps = zip(tree.words, pairwise(values), strict=True)
            return all(_compare(word, left, right) for word, (left, right) in steps)
        case "sign":
            return _sign(tree, values[0])
        case "call":
            return _bounded(_call(tree.word, values), tree.word)
    result = values[0]
    for word, value in zip(tree.words, values[1:], strict=True):
        result = (
            _calculate(word, result, value)
            if tree.kind == "arithmetic"
            else _item(word, result, value, _of(children[0], names))
        )
    return result


def _lookup(word: Token, names: Mapping[str, Any]) -> Any:
    first, *rest = word.text.split(".")
    if first not in names:
        raise ExpressionError(f"unknown name `{first}`", word.offset, len(first), _meant(first, names))
    value = names[first]
    for step in rest:
        if not isinstance(value, Mapping) or step not in value:
            known = f"it has {one_of(value)}" if isinstance(value, Mapping) else f"it is {show(value)}"
            raise ExpressionError(f"`{first}` has no `{step}` here", word.offset, word.length, known)
        value = value[step]
    return value


def _meant(name: str, known: Mapping[str, Any]) -> str:
    nearest = suggest(name, known)
    return f"did you mean `{nearest}`?" if nearest else f"known here: {one_of(sorted(known))}"


def _truth(tree: Tree, names: Mapping[str, Any]) -> bool:
    value = evaluate(tree, names)
    if not isinstance(value, bool) and value is not None:
        text = f"{show(value)} is neither true nor false"
        raise ExpressionError(text, tree.word.offset, tree.word.length, "compare it with something")
    return bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compare(word: Token, left: Any, right: Any) -> bool:
    symbol = word.text
    if symbol in ("==", "!="):
        return _equal(left, right) == (symbol == "==")
    if symbol in ("in", "not in"):
        if isinstance(left, str) and isinstance(right, str):
            return (left in right) == (symbol == "in")
        if not isinstance(right, list):
            text = f"`{symbol}` looks into a list, or for a string in another, not into {show(right)}"
            raise ExpressionError(text, word.offset, word.length)
        return any(_equal(left, one) for one in right) == (symbol == "in")
    # No comparison with a fact that the place lacks is true.
    if left is None or right is None:
        return False
    if not (_is_number(left) and _is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        help = f"`{symbol}` compares two numbers, or two strings"
        raise ExpressionError(f"cannot order {show(left)} and {show(right)}", word.offset, word.length, help)
    return _ORDER[symbol](left, right)


def _equal(left: Any, right: Any) -> bool:
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _sign(tree: Tree, value: Any) -> Any:
    if not _is_number(value):
        raise ExpressionError(f"`{tree.word.text}` needs a number, found {show(value)}", tree.word.offset)
    return -value if tree.value else value


def _calculate(word: Token, left: Any, right: Any) -> Any:
    joined = word.text == "+" and any(isinstance(left, kind) and isinstance(right, kind) for kind in (str, list))
    if not joined and not (_is_number(left) and _is_number(right)):
        wanted = "two numbers, two strings or two lists" if word.text == "+" else "two numbers"
        text = f"`{word.text}` needs {wanted}, found {show(left)} and {show(right)}"
        raise ExpressionError(text, word.offset, word.length)
    if word.text in ("/", "//", "%") and right == 0:
        raise ExpressionError("division by zero", word.offset, word.length)
    try:
        return _bounded(ARITHMETIC[word.text](left, right), word)
    except OverflowError as error:
        raise _beyond(word) from error


def _of(tree: Tree, names: Mapping[str, Any]) -> tuple[str, Any]:
    """The list that items are taken from, in words, and the number of copies if the node repeats."""
    return (f"`{tree.word.text}`" if tree.kind == "name" else "the list"), names.get("repeat")


def _slice(word: Token, bounds: list[Any]) -> slice:
    for bound in bounds:
        if bound is not None and (not isinstance(bound, int) or isinstance(bound, bool)):
            text = f"a slice has whole numbers, such as `[1:]` and `[:-1]`, found {show(bound)}"
            raise ExpressionError(text, word.offset, word.length)
    if bounds[2:] == [0]:
        raise ExpressionError("a slice cannot go on by 0", word.offset, word.length)
    return slice(*bounds)


def _item(word: Token, value: Any, index: Any, of: tuple[str, Any]) -> Any:
    if isinstance(value, Mapping):
        if not isinstance(index, str) or index not in value:
            help = f"there are {one_of(map(str, value))}"
            raise ExpressionError(f"there is no key {show(index)}", word.offset, 1, help)
        return value[index]
    if isinstance(index, slice):
        if not isinstance(value, list):
            raise ExpressionError(f"cannot take a part of {show(value)}, which is no list", word.offset)
        return value[index]
    if not isinstance(value, list) or not isinstance(index, int) or isinstance(index, bool):
        what = show(value) if not isinstance(value, list) else "a list"
        raise ExpressionError(f"cannot take item {show(index)} of {what}", word.offset)
    if not -len(value) <= index < len(value):
        name, copies = of
        help = f"{name} has {plural(len(value), 'item')}, and `repeat` is {copies}" if copies else "the first is 0"
        raise ExpressionError(f"there is no item {index} in a list of {len(value)}", word.offset, 1, help)
    return value[index]


def _call(word: Token, values: list[Any]) -> Any:
    name, function = word.text, FUNCTIONS[word.text]
    if not function.least <= len(values) <= function.most:
        text = f"`{name}` takes {_count(function)}, found {len(values) or 'none'}"
        raise ExpressionError(text, word.offset, word.length)
    if name == "len":
        if not isinstance(values[0], list | str):
            raise ExpressionError(f"`len` takes a list or a string, found {show(values[0])}", word.offset, word.length)
        return len(values[0])
    if function.takes_list and len(values) == 1 and isinstance(values[0], list):
        values = values[0]
        if not values and not function.empty:
            raise ExpressionError(f"`{name}` of an empty list", word.offset, word.length)
    wrong = next((value for value in values if not _is_number(value)), 0)
    if not _is_number(wrong):
        raise ExpressionError(f"`{name}` takes numbers, found {show(wrong)}", word.offset, word.length)
    try:
        return function.call(values) if function.takes_list else function.call(*values)
    except (ArithmeticError, ValueError) as error:
        given = ", ".join(map(show, values))
        raise ExpressionError(f"cannot compute `{name}({given})`: {error}", word.offset, word.length) from error


def _count(function: Function) -> str:
    if function.takes_list:
        return "numbers or a list of numbers"
    values = (
        f"{function.least} value" if function.least == function.most else f"{function.least} or {function.most} value"
    )
    return f"{values}s" if function.most > 1 else values


def _bounded(value: Any, word: Token) -> Any:
    if _is_number(value) and not abs(value) <= MAX_NUMBER:
        raise _beyond(word)
    held = len(value) if isinstance(value, str) else size(value, MAX_LIST)
    if held > MAX_LIST:
        raise ExpressionError(
            f"the result holds more than {MAX_LIST:,} values, or lists nested too deep", word.offset, word.length
        )
    return value


def _beyond(word: Token) -> ExpressionError:
    return ExpressionError(f"the result is beyond {MAX_NUMBER:,}", word.offset, word.length)
