"""The expression language against Python's own evaluation, and every way to get it wrong."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.spec.evaluate import MAX_NUMBER, show, size
from composer.spec.expression import escape, is_dynamic, parse, parse_condition, parse_template
from composer.spec.functions import FUNCTIONS, MAX_LIST, make_divisible
from composer.spec.parser import MAX_NESTING
from composer.spec.tokens import MAX_TEXT, ExpressionError

NAMES: dict[str, Any] = {
    "planes": 64,
    "half": 0.5,
    "depths": [3, 4, 6, 3],
    "table": [["relu", 1], ["gelu", 2]],
    "kind": "basic",
    "last": True,
    "first": False,
    "stage": None,
    "input": {"channels": 128, "height": 7},
}


def value(text: str, **names: Any) -> Any:
    return parse(text).evaluate({**NAMES, **names})


def problem(text: str, **names: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value(text, **names)
    return caught.value


def outcome(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except ExpressionError as error:
        return error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("2.", 2.0),
        ("1e3", 1000.0),
        ("1e-3", 0.001),
        ("010", 10),
        ("'a b'", "a b"),
        ('"it\'s }"', "it's }"),
        ("''", ""),
        ("true", True),
        ("False", False),
        ("null", None),
        ("None", None),
        ("  1\n + \t2 ", 3),
        ("planes", 64),
        ("input.channels // 2", 64),
        ("depths[0]", 3),
        ("depths[-1]", 3),
        ("depths[1 + 1]", 6),
        ("table[1][0]", "gelu"),
        ("depths[1:]", [4, 6, 3]),
        ("depths[:-1]", [3, 4, 6]),
        ("depths[1:3][0]", 4),
        ("depths[9:]", []),
        ("depths[::-1]", [3, 6, 4, 3]),
        ("depths[:1] + depths[ 2 : 4 : 1 ]", [3, 6, 3]),
        ("[1, 2, 3][1]", 2),
        ("[1, 'a', [planes]]", [1, "a", [64]]),
        ("[1, 2,]", [1, 2]),
        ("[]", []),
        ("'a' + 'b'", "ab"),
        ("1 if last else 2", 1),
        ("1 if first else 2 if first else 3", 3),
        ("(1 if first else 2) if last else 3", 2),
        ("1 if stage else 2", 2),
        ("2 if depths[0] == 3 else 1 + 1", 2),
        ("last and not first", True),
        ("first or last and first", False),
        ("not first or last", True),
        ("not not last", True),
        ("not not not last", False),
        ("not 1 == 2", True),
        ("first and 1 / 0 == 1", False),
        ("last or 1 / 0 == 1", True),
        ("1 if last else 1 / 0", 1),
        ("1 < 2 < 3", True),
        ("1 < 3 < 2", False),
        ("3 > 2 >= 2 != 1 == 1", True),
        ("'a' < 'b'", True),
        ("kind == 'basic'", True),
        ("kind != 'basic'", False),
        ("kind == 1", False),
        ("last == 1", False),
        ("first == 0", False),
        ("1 == 1.0", True),
        ("depths == [3, 4, 6, 3]", True),
        ("4 in depths", True),
        ("5 not in depths", True),
        ("5 not  \n in depths", True),
        ("1 in [true]", False),
        ("kind in ['basic', 'bottleneck']", True),
        ("stage >= 2", False),
        ("stage < 2", False),
        ("stage == null", True),
        ("stage != null", False),
        ("--1", 1),
        ("-+-2", 2),
        ("---planes", -64),
        ("2 - -1", 3),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("2 * (3 + 4)", 14),
        ("notable", 5),
        ("inner + iffy + order", 6),
    ],
)
def test_values(text: str, expected: Any) -> None:
    found = value(text, notable=5, inner=1, iffy=2, order=3)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("min(3, 1, 2)", 1),
        ("min(depths)", 3),
        ("sum(depths)", 16),
        ("sum(1, 2.5)", 3.5),
        ("sum([])", 0),
        ("sqrt(2.25)", 1.5),
        ("depths + [1]", [3, 4, 6, 3, 1]),
        ("len(depths + depths)", 8),
        ("'as' in kind", True),
        ("'x' not in kind", True),
        ("max(1, 2.5)", 2.5),
        ("max(depths)", 6),
        ("max([7])", 7),
        ("round(2.5)", 2),
        ("round(3.14159, 2)", 3.14),
        ("round(1234, -2)", 1200),
        ("round(1e15, -15)", 1e15),
        ("floor(2.7)", 2),
        ("floor(-2.1)", -3),
        ("ceil(2.1)", 3),
        ("len(depths)", 4),
        ("len('abc')", 3),
        ("len([])", 0),
        ("log2(8)", 3.0),
        ("pow(2, 3)", 8),
        ("pow(2.0, 3)", 8.0),
        ("pow(2, -1)", 0.5),
        ("pow(4, -0.5)", 0.5),
        ("abs(-3)", 3),
        ("int(2.9)", 2),
        ("int(-2.9)", -2),
        ("make_divisible(91.2)", 88),
        ("make_divisible(30, 16)", 32),
        ("make_divisible(10, 8.0)", 16),
    ],
)
def test_functions(text: str, expected: Any) -> None:
    found = value(text)
    assert (type(found), found) == (type(expected), expected)


def test_every_function_is_tested() -> None:
    tested = {
        *["min", "max", "sum", "round", "floor", "ceil", "len", "log2", "sqrt", "pow", "abs", "int", "make_divisible"]
    }
    assert set(FUNCTIONS) == tested


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 1e6), st.integers(1, 64))
def test_make_divisible_is_mobilenets_rule(number: float, divisor: int) -> None:
    found = make_divisible(number, divisor)
    assert found % divisor == 0
    assert found >= max(divisor, 0.9 * number)
    assert found - number <= divisor


NUMBERS = st.one_of(st.integers(0, 99), st.sampled_from([0.5, 1.25, 3.0]))
PYTHON = {"a": 3, "b": 0.25, "c": 17, "t": True, "f": False}
VALUES = st.recursive(
    st.one_of(NUMBERS.map(str), st.sampled_from(["a", "b", "c"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(" ".join),
        st.tuples(st.sampled_from(["-", "+", "- -"]), inner).map("".join),
        inner.map("({})".format),
        st.tuples(st.sampled_from(["abs", "floor", "int"]), inner).map("{0[0]}({0[1]})".format),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map("{0[0]}({0[1]}, {0[2]})".format),
    ),
    max_leaves=8,
)
CONDITIONS = st.recursive(
    st.one_of(
        st.sampled_from(["t", "f"]),
        st.tuples(VALUES, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), VALUES).map(" ".join),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map("not {}".format),
        inner.map("({})".format),
    ),
    max_leaves=6,
)
EXPRESSIONS = st.one_of(
    VALUES, CONDITIONS, st.tuples(VALUES, CONDITIONS, VALUES).map("{0[0]} if {0[1]} else {0[2]}".format)
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(EXPRESSIONS)
def test_precedence_is_pythons(text: str) -> None:
    functions = {"abs": abs, "floor": math.floor, "int": int, "min": min, "max": max}
    try:
        expected = eval(text, {"__builtins__": {}}, {**PYTHON, **functions})
    except (ArithmeticError, ValueError):
        expected = None
    found = outcome(lambda: parse(text).evaluate(PYTHON))
    if isinstance(found, ExpressionError):
        # Python has no bounds, and neither has division by zero.
        assert expected is None or any(word in str(found) for word in ("beyond", "characters", "nests"))
    else:
        assert found == expected


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(alphabet="ab1.0 '\"()[]+-*/%<>=!,$&|{}\n\u00a0\u0663ifelsnotrd_", max_size=40))
def test_any_text_has_a_value_or_an_expression_error(text: str) -> None:
    for read in (lambda: parse(text).evaluate({"a": 1, "b": [1]}), lambda: parse_template(text).evaluate({"a": 1})):
        found = outcome(read)
        if isinstance(found, ExpressionError):
            assert 0 <= found.offset <= len(text)
            assert found.length >= 1


@pytest.mark.parametrize(
    ("text", "offset", "length", "message"),
    [
        ("", 0, 1, "the expression is empty"),
        ("  ", 0, 1, "the expression is empty"),
        ("1 +", 3, 1, "expected a value, found the end"),
        ("1 2", 2, 1, "expected an operator or the end, found `2`"),
        ("(1", 2, 1, "expected `)`, found the end"),
        ("depths[0", 8, 1, "expected `]`, found the end"),
        ("min(1, 2", 8, 1, "expected `)`, found the end"),
        ("[1 2]", 3, 1, "expected `]`, found `2`"),
        ("1 if last", 9, 1, "expected `else`, found the end"),
        ("if", 0, 2, "expected a value, found `if`"),
        ("2 ** 3", 2, 2, "expected an operator or the end, found `**`"),
        ("planes = 3", 7, 1, "expected an operator or the end, found `=`"),
        ("last && first", 5, 2, "expected an operator or the end, found `&&`"),
        ("!last", 0, 1, "expected a value, found `!`"),
        ("1 == not last", 5, 3, "expected a value, found `not`"),
        ("planes.", 6, 1, "expected an operator or the end, found `.`"),
        ("depths[0].x", 9, 1, "expected an operator or the end, found `.`"),
        ("  @", 2, 1, "`@` is not part of the expression language"),
        ("\u00a0 1", 0, 1, "`\u00a0` is not part of the expression language"),
        ("\u0663", 0, 1, "`\u0663` is not part of the expression language"),
        ("1 + 'a", 4, 1, "`'` is not part of the expression language"),
        ("1 + $a", 4, 1, "`$` is not part of the expression language"),
        ("x : 1", 2, 1, "expected an operator or the end, found `:`"),
        ("__import__('os')", 0, 10, "there is no function `__import__`"),
        ("input.channels()", 0, 14, "there is no function `input.channels`"),
        ("1e99", 0, 4, "numbers stop at 1,000,000,000,000,000"),
        ("1 + 9999999999999999", 4, 16, "numbers stop at 1,000,000,000,000,000"),
        ("1 + nope", 4, 4, "unknown name `nope`"),
        ("1 + nope.channels", 4, 4, "unknown name `nope`"),
        ("1 + input.depth", 4, 11, "`input` has no `depth` here"),
        ("1 + planes.depth", 4, 12, "`planes` has no `depth` here"),
        ("1 + kind", 2, 1, "`+` needs two numbers, two strings or two lists, found 1 and 'basic'"),
        ("1 // last", 2, 2, "`//` needs two numbers, found 1 and true"),
        ("kind * 2", 5, 1, "`*` needs two numbers, found 'basic' and 2"),
        ("-kind", 0, 1, "`-` needs a number, found 'basic'"),
        ("--last", 0, 1, "`-` needs a number, found true"),
        ("1 / 0", 2, 1, "division by zero"),
        ("1 // 0.0", 2, 2, "division by zero"),
        ("1 % 0", 2, 1, "division by zero"),
        ("1 + 1000000 * 1000000 * 10000", 22, 1, "the result is beyond 1,000,000,000,000,000"),
        ("1 / 0.0000000000000001", 2, 1, "the result is beyond 1,000,000,000,000,000"),
        ("kind < 2", 5, 1, "cannot order 'basic' and 2"),
        ("last <= first", 5, 2, "cannot order true and false"),
        ("1 < 2 < kind", 6, 1, "cannot order 2 and 'basic'"),
        ("1 in 2", 2, 2, "`in` looks into a list, or for a string in another, not into 2"),
        ("1 not  in kind", 2, 7, "`not in` looks into a list, or for a string in another, not into 'basic'"),
        ("1 if planes else 2", 5, 6, "64 is neither true nor false"),
        ("last and kind", 9, 4, "'basic' is neither true nor false"),
        ("not depths", 4, 6, "[3, 4, 6, 3] is neither true nor false"),
        ("depths[4]", 6, 1, "there is no item 4 in a list of 4"),
        ("depths[-5]", 6, 1, "there is no item -5 in a list of 4"),
        ("depths[0.0]", 6, 1, "cannot take item 0.0 of a list"),
        ("depths[first]", 6, 1, "cannot take item false of a list"),
        ("planes[0]", 6, 1, "cannot take item 0 of 64"),
        ("table[0][5]", 8, 1, "there is no item 5 in a list of 2"),
        ("input[0]", 5, 1, "there is no key 0"),
        ("depths[1.5:]", 7, 3, "a slice has whole numbers, such as `[1:]` and `[:-1]`, found 1.5"),
        ("depths[::0]", 7, 1, "a slice cannot go on by 0"),
        ("planes[1:]", 6, 1, "cannot take a part of 64, which is no list"),
        ("depths[]", 7, 1, "expected a value, found `]`"),
        ("depths[1:2:3:4]", 12, 1, "expected `]`, found `:`"),
        ("min()", 0, 3, "`min` takes numbers or a list of numbers, found none"),
        ("1 + min([])", 4, 3, "`min` of an empty list"),
        ("max(1, kind)", 0, 3, "`max` takes numbers, found 'basic'"),
        ("max([1, [2]])", 0, 3, "`max` takes numbers, found [2]"),
        ("max(last)", 0, 3, "`max` takes numbers, found true"),
        ("floor(1, 2)", 0, 5, "`floor` takes 1 value, found 2"),
        ("floor([1])", 0, 5, "`floor` takes numbers, found [1]"),
        ("round(1, 2, 3)", 0, 5, "`round` takes 1 or 2 values, found 3"),
        ("round(5, -1000000000000000)", 0, 5, "cannot compute `round(5, -1000000000000000)`: digits are"),
        ("round(1.5, 0.5)", 0, 5, "cannot compute `round(1.5, 0.5)`: digits are"),
        ("log2(0)", 0, 4, "cannot compute `log2(0)`: only numbers above 0 have a logarithm"),
        ("sqrt(0 - 1)", 0, 4, "cannot compute `sqrt(-1)`: negative numbers have no square root"),
        ("x is None", 2, 2, "expected an operator or the end, found `is`"),
        ("pow(2)", 0, 3, "`pow` takes 2 values, found 1"),
        ("1 + pow(0, -1)", 4, 3, "cannot compute `pow(0, -1)`: it is no finite real number"),
        ("pow(-8, 0.5)", 0, 3, "cannot compute `pow(-8, 0.5)`: it is no finite real number"),
        ("pow(10, 1000000)", 0, 3, "cannot compute `pow(10, 1000000)`: it is no finite real number"),
        ("pow(10, 16)", 0, 3, "the result is beyond 1,000,000,000,000,000"),
        ("make_divisible(1, 0)", 0, 14, "cannot compute `make_divisible(1, 0)`: the divisor must be"),
        ("make_divisible(1, 1.5)", 0, 14, "cannot compute `make_divisible(1, 1.5)`: the divisor must be"),
        ("len(3)", 0, 3, "`len` takes a list or a string, found 3"),
        ("len(depths, depths)", 0, 3, "`len` takes 1 value, found 2"),
    ],
)
def test_errors_say_what_and_where(text: str, offset: int, length: int, message: str) -> None:
    error = problem(text)
    assert str(error).startswith(message)
    assert (error.offset, error.length) == (offset, length)


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("2 ** 3", "multiply"),
        ("a = 3", "`==`"),
        ("last && last", "`and`"),
        ("last || last", "`or`"),
        ("!last", "`not last`"),
        ("$planes", "without `$`"),
        ("'a", "never closed"),
        ("plane", "did you mean `planes`"),
        ("qqqq", "known here: `depths`, `first`"),
        ("ciel(1)", "did you mean `ceil`"),
        ("qqqq(1)", "there are `min`"),
        ("input.chan", "it has `channels`, `height`"),
        ("planes.x", "it is 64"),
        ("depths[9]", "the first is 0"),
    ],
)
def test_errors_help(text: str, help: str) -> None:
    assert help in problem(text).help


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1e300, 10**60])
def test_numbers_beyond_the_bounds_pass_but_are_not_computed_with(number: float) -> None:
    assert parse("x").evaluate({"x": number}) is number
    for text in (
        "x * x",
        "x + 1",
        "floor(x)",
        "make_divisible(x)",
        "round(x)",
        "int(x)",
        "log2(x) * x",
        "pow(x, 2)",
        "min(x, x)",
    ):
        with pytest.raises(ExpressionError):
            value(text, x=number)


def test_limits_of_the_text() -> None:
    assert value("1" + " + 1" * 249) == 250
    assert "1,001 characters" in str(problem("1" * (MAX_TEXT + 1)))
    assert value("(" * (MAX_NESTING - 1) + "1" + ")" * (MAX_NESTING - 1)) == 1
    for text in ("(" * 400, "[" * 400, "min(" * 200, "depths[" * 100, "(" * MAX_NESTING + "1" + ")" * MAX_NESTING):
        assert "nests deeper" in str(problem(text))


@pytest.mark.parametrize(
    "text",
    [
        "-" * 999 + "1",
        "not " * 249 + "t",
        "1" + "+1" * 499,
        "1" + " if t else 1" * 80,
        "t" + " or t" * 190,
        "1" + "<1" * 480,
        "t" + " and t" * 150,
    ],
)
def test_long_chains_make_no_deep_trees(text: str) -> None:
    tree = parse(text).tree

    def depth(node: Any) -> int:
        return 1 + max(map(depth, node.children), default=0)

    assert depth(tree) <= 4
    parse(text).evaluate({"t": True})


def test_the_longest_way_down_leaves_room_on_the_stack() -> None:
    unit = "f or t and not 1<1+1*-["
    text = unit * (MAX_NESTING - 1) + "1" + "]" * (MAX_NESTING - 1)
    with pytest.raises(ExpressionError, match="`-` needs a number, found \\[1\\]"):
        parse(text).evaluate({"t": True, "f": False})


def test_results_are_bounded() -> None:
    big = [0] * (MAX_LIST - 1)
    assert value("big", big=big) is big
    assert "more than 10,000 values" in str(problem("[big, big]", big=big))
    assert "more than 10,000 values" in str(problem("a + a", a="x" * 6000))
    assert "more than 10,000 values" in str(problem("[x]", x=[[[0] * 100] * 100]))
    deep: Any = 0
    for _ in range(64):
        deep = [deep]
    assert "nested too deep" in str(problem("[x]", x=deep))


def test_size_stops_counting_at_the_limit() -> None:
    grown: Any = [0, 0]
    for _ in range(60):
        grown = [grown, grown]
    assert size(grown, 1000) == 1001
    assert size({"a": [1, {"b": 2}]}, 1000) == 5


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (None, "null"),
        (True, "true"),
        ("a", "'a'"),
        (1.5, "1.5"),
        ([1] * 99, "[1, 1, 1, 1, 1, 1, ...]"),
        ([[[1]]], "[[[...]]]"),
    ],
)
def test_values_in_messages_are_short(shown: Any, found: str) -> None:
    assert show(shown) == found
    grown: Any = [0, 0]
    for _ in range(60):
        grown = [grown, grown]
    assert len(show(grown)) < 300
    assert len(show("x" * 10**6)) < 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$planes", 64),
        ("${planes}", 64),
        ("${ planes * 2 }", 128),
        ("$depths", [3, 4, 6, 3]),
        ("$input.channels", 128),
        ("b${planes + 1}", "b65"),
        ("$kind-$planes", "basic-64"),
        ("$kind.", "basic."),
        ("$$planes", "$planes"),
        ("a$$b$kind$$", "a$bbasic$"),
        ("$$", "$"),
        ("${'}'}", "}"),
        ("${'$'}${\"}\"}", "$}"),
        ("plain", "plain"),
        ("", ""),
        ("é$planes", "é64"),
    ],
)
def test_templates(text: str, expected: Any) -> None:
    assert parse_template(text).evaluate(NAMES) == expected


@pytest.mark.parametrize(
    ("text", "offset", "length", "message"),
    [
        ("a $", 2, 1, "a lone `$`"),
        ("$1", 0, 1, "a lone `$`"),
        ("ab${1", 2, 2, "`${` is never closed"),
        ("${'}", 0, 2, "`${` is never closed"),
        ("a$depths[0]", 2 - 1, 1, "`$name[…]` needs braces"),
        ("a${}", 3, 1, "the expression is empty"),
        ("a${1 +}", 6, 1, "expected a value, found the end"),
        ("a$nope", 2, 4, "unknown name `nope`"),
        ("$kind${1 + nope}", 11, 4, "unknown name `nope`"),
        ("a$depths", 2, 1, "cannot write [3, 4, 6, 3] inside a string"),
        ("a$half", 2, 1, "cannot write 0.5 inside a string"),
        ("a$last", 2, 1, "cannot write true inside a string"),
        ("$" * 20_001, 0, 1, "a string with expressions has 20,001 characters"),
        ("a" + "$long" * 3, 12, 1, "the string is longer than 10,000 characters"),
    ],
)
def test_errors_in_templates(text: str, offset: int, length: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_template(text).evaluate({**NAMES, "long": "x" * 4000})
    assert str(caught.value).startswith(message)
    assert (caught.value.offset, caught.value.length) == (offset, length)


def test_reads_say_what_and_where() -> None:
    assert parse("a.b + min(c, [a])").reads == (("a.b", 0), ("c", 10), ("a", 14))
    assert parse("a.b + min(c, [a])").names == {"a", "c"}
    assert parse_template("x$a${ b.c }$$d").reads == (("a", 2), ("b.c", 6))
    assert parse("true and none").reads == (("none", 9),)


@pytest.mark.parametrize(("text", "start"), [("stage > 2", 0), ("${stage > 2}", 2)])
def test_conditions_stand_in_braces_or_not(text: str, start: int) -> None:
    found, expression = parse_condition(text)
    assert (found, expression.evaluate({"stage": 3})) == (start, True)


def test_errors_in_conditions_count_the_braces() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_condition("${1 +}")
    assert caught.value.offset == 5


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=20))
def test_escaped_text_stays_what_it_is(text: str) -> None:
    assert parse_template(escape(text)).evaluate({}) == text
    assert is_dynamic(escape(text)) == ("$" in text)


def test_expressions_pickle_and_copy() -> None:
    expression = parse("min(a.b, [1, 2][0]) if c else 'x'")
    assert pickle.loads(pickle.dumps(expression)) == expression
    assert copy.deepcopy(expression) == expression


def test_bounds_are_what_still_fits() -> None:
    assert value(str(MAX_NUMBER)) == MAX_NUMBER
    assert value(f"-{MAX_NUMBER}") == -MAX_NUMBER
