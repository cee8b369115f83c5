"""The YAML we read: 1.2 scalars, a place for every key and value, and what we leave out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from composer.errors import Source, SpecError
from composer.spec import yaml as spec_yaml
from composer.spec.document import MAX_DEPTH, MAX_DIGITS, MAX_VALUES, Document
from composer.spec.dump import dump
from composer.spec.yaml import MAX_BYTES, decode, parse_value, read


def document(text: str) -> Document:
    return read(Source("spec.yaml", text))


def code(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        document(text)
    (problem,) = caught.value.diagnostics
    return problem.code


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("+1.5", 1.5),
        ("010", 10),
        ("-010", -10),
        ("+7", 7),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b1", "0b1"),
        ("-0x1F", "-0x1F"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("on", "on"),
        ("Off", "Off"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("# nothing", None),
        ("NULL", None),
        ("nUll", "nUll"),
        (".inf", math.inf),
        ("+.INF", math.inf),
        ("-.inf", -math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("'it''s'", "it's"),
        (r'"a\tb\u00e9\x41"', "a\tbéA"),
        ("|-\n  1\n", "1"),
        (">\n  a\n  b\n", "a b\n"),
        ("a\n  b", "a b"),
        ("=", "="),
        ("1,5", "1,5"),
        ("$name", "$name"),
        ("é", "é"),
        ("🙂", "🙂"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    found = parse_value(text)
    assert (type(found), found) == (type(value), value)


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(parse_value(".nan"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a: 1, b: [x, {c: }]}", {"a": 1, "b": ["x", {"c": None}]}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("a: 1\rb: 2", {"a": 1, "b": 2}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("0: zero\n010: ten\n'1': one", {"0": "zero", "010": "ten", "1": "one"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("&k a: 1\nb: {*k : 2}", {"a": 1, "b": {"a": 2}}),
        ("? a\n: 1", {"a": 1}),
        ("'<<': 1", {"<<": 1}),
    ],
)
def test_collections(text: str, value: Any) -> None:
    assert document(text).plain() == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "yaml-duplicate-key"),
        ("1: a\n'1': b", "yaml-duplicate-key"),
        ("a: !!str 1", "yaml-tag"),
        ("a: !x {}", "yaml-tag"),
        ("a: ! b", "yaml-tag"),
        ("a: !<x> b", "yaml-tag"),
        ("<<: {a: 1}", "yaml-merge"),
        ("a:\t1", "yaml-tab"),
        ("a: 'b\tc'", "yaml-tab"),
        ("%YAML 1.2\n---\na: 1", "yaml-directive"),
        ("%TAG ! x\n---\na: 1", "yaml-directive"),
        ("a: 1\n...\nb: 1", "yaml-syntax"),
        ("a: \0", "yaml-character"),
        ("a: \x7f", "yaml-character"),
        ("a: \x85b", "yaml-character"),
        ("a: \u2028b", "yaml-character"),
        ("a: \ufeff", "yaml-character"),
        ("a: \ud800", "yaml-character"),
        ("a: \uffff", "yaml-character"),
        ("a: *a", "yaml-alias"),
        ("a: &a [*a]", "yaml-alias"),
        ("&a {*a : 1}", "yaml-alias"),
        ("1.5: a", "yaml-key"),
        ("null: a", "yaml-key"),
        ("? {a: 1}\n: b", "yaml-key"),
        ("a: &x [1]\nb: {*x : 1}", "yaml-key"),
        ("a: " + "1" * (MAX_DIGITS + 1), "yaml-number"),
        ("a: 0x" + "F" * MAX_DIGITS, "yaml-number"),
        ("a: -1e400", "yaml-number"),
        ("a: [", "yaml-syntax"),
        ("a: }", "yaml-syntax"),
        ("a: 'b", "yaml-syntax"),
        ("a: b: c", "yaml-syntax"),
        ("\n\n", "yaml-empty"),
        ("# a comment", "yaml-empty"),
        ("---\n", "yaml-empty"),
        ("~", "yaml-empty"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "yaml-depth"),
        ("- " * (MAX_DEPTH + 1), "yaml-depth"),
        ("[" + "1," * MAX_VALUES + "]", "yaml-budget"),
    ],
)
def test_what_is_left_out(text: str, problem: str) -> None:
    assert code(text) == problem


def test_limits_are_what_still_fits() -> None:
    assert document("[" * MAX_DEPTH + "]" * MAX_DEPTH).plain()
    assert len(document("[" + "1," * (MAX_VALUES - 1) + "]").plain()) == MAX_VALUES - 1
    assert document("a: " + "9" * MAX_DIGITS).plain() == {"a": int("9" * MAX_DIGITS)}
    assert document("a: '" + "x" * (MAX_BYTES - 10) + "'").plain()


def test_aliases_count_as_what_they_stand_for() -> None:
    lines = ["- &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"- &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(30)]
    assert code("\n".join(lines)) == "yaml-budget"
    assert document("\n".join(lines[:4])).plain()[3][9][9][9][9] == 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"x" * (MAX_BYTES + 1), "yaml-size"),
        (b"a: \xff", "yaml-encoding"),
        ("a: 1".encode("utf-16"), "yaml-encoding"),
        (b"a: \xed\xa0\x80", "yaml-encoding"),
    ],
)
def test_bytes_that_are_no_text(data: bytes, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        decode(data, "spec.yaml")
    assert caught.value.diagnostics[0].code == problem


def test_utf16_without_a_mark_has_control_characters() -> None:
    assert code(decode("a: 1".encode("utf-16-le"), "x").text) == "yaml-character"


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    found = read(decode(b"\xef\xbb\xbfa: 1", "spec.yaml"))
    assert found.plain() == {"a": 1}
    assert str(found.location(("a",), key=True)) == "spec.yaml:1:1"


PLACES = """\
name: net          # a comment
"quoted":   'two'
flow: {a: 1, b: [x, "yy", {é: 🙂z}]}
block:
  - one
  -   two: 2
      three:
        deep: &d true
  - *d
text: |
  first
  second
empty:
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("name",), (1, 1, 5), (1, 7, 10)),
        (("quoted",), (2, 1, 9), (2, 13, 18)),
        (("flow",), (3, 1, 5), (3, 7, 36)),
        (("flow", "a"), (3, 8, 9), (3, 11, 12)),
        (("flow", "b", 0), None, (3, 18, 19)),
        (("flow", "b", 1), None, (3, 21, 25)),
        (("flow", "b", 2, "é"), (3, 28, 29), (3, 31, 33)),
        (("block", 0), None, (5, 5, 8)),
        (("block", 1), None, (6, 7, 13)),
        (("block", 1, "two"), (6, 7, 10), (6, 12, 13)),
        (("block", 1, "three", "deep"), (8, 9, 13), (8, 15, 22)),
        (("text",), (10, 1, 5), (10, 7, 8)),
        (("empty",), (13, 1, 6), (13, 7, 8)),
    ],
)
def test_line_and_column_of_every_key_and_value(path: Any, key: Any, value: Any) -> None:
    found = document(PLACES)
    place = found.location(path)
    assert place is not None
    assert (place.line, place.column, place.end_column) == value
    if key is not None:
        place = found.location(path, key=True)
        assert place is not None
        assert (place.line, place.column, place.end_column) == key


def test_the_place_of_what_is_not_there_is_that_of_what_is_around_it() -> None:
    found = document("a: {b: [1]}")
    assert found.location(("a", "b", 7, "c")) == found.location(("a", "b"))
    assert found.location(("a", "z")) == found.location(("a",))


def test_an_alias_stands_where_its_anchor_does_but_its_key_does_not() -> None:
    found = document("a: &x 1\nb: *x")
    assert found.location(("b",)) == found.location(("a",))
    assert str(found.location(("b",), key=True)) == "spec.yaml:2:1"


@pytest.mark.parametrize("text", ["a: [", "a: 'b\n\n\n", "{", "a: {b: c\n\n", 'a: "\\', "a: b\n  c: d", "a: *", "@"])
def test_places_of_syntax_errors_are_on_lines_of_the_text(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        document(text)
    place = caught.value.diagnostics[0].location
    assert place is not None
    assert 1 <= place.column <= len(place.source.line(place.line)) + 1


def test_pyyamls_own_parser_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = document(PLACES)
    monkeypatch.setattr(spec_yaml, "_PARSER", spec_yaml.yaml.SafeLoader)
    slow = document(PLACES)
    assert slow.plain() == fast.plain()
    with pytest.raises(SpecError):
        document('a: "\\UFFFFFFFF"')
    with pytest.raises(SpecError) as caught:
        document('a: "\\ud800"')
    assert caught.value.diagnostics[0].code == "yaml-character"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({1: 2}, "yaml-key"),
        ({"a": {True: 2}}, "yaml-key"),
        ({"a": {1, 2}}, "yaml-type"),
        ({"a": b"b"}, "yaml-type"),
        ({"a": 1j}, "yaml-type"),
        ({"a": 10**MAX_DIGITS}, "yaml-number"),
        ({"a": -(10**5000)}, "yaml-number"),
        ({"a": "\ud800"}, "yaml-character"),
        ({"\udfff": 1}, "yaml-character"),
        ({"a": [0] * MAX_VALUES}, "yaml-budget"),
    ],
)
def test_python_values_that_yaml_could_not_spell(data: Any, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        Document.from_mapping(data)
    assert caught.value.diagnostics[0].code == problem
    assert str(caught.value).encode("utf-8")


def test_a_python_value_that_holds_itself() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    with pytest.raises(SpecError, match="nested deeper than 64"):
        Document.from_mapping(loop)


def test_tuples_are_lists() -> None:
    assert Document.from_mapping({"a": (1, (2,))}).plain() == {"a": [1, [2]]}


@pytest.mark.parametrize(
    "text", ["on", "1e-3", "010", "0o7", "~", "", " a", "a: b", "#", "*a", "$x", "é", "a\tb", "a\nb", "1:30"]
)
def test_what_is_dumped_reads_back(text: str) -> None:
    value = {"key": text, "list": [text, 1, 1.5, None, True], text or "k": {"inner": []}}
    assert document(dump(value)).plain() == value


def test_a_character_that_moves_the_cursor_is_refused_however_it_is_written() -> None:
    with pytest.raises(SpecError, match=r"U\+001B would not show"):
        document(dump({"key": "\x1b"}))
