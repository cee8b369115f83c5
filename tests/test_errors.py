"""Problems as people and programs read them."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from composer.errors import (
    MAX_FOUND,
    MAX_SHOWN,
    ComposerError,
    Diagnostic,
    GraphError,
    Location,
    Source,
    SpecError,
    UnavailableError,
    did_you_mean,
    one_of,
    suggest,
)

TEXT = Source("net.yaml", "name: net\nattention:\n  - use: cbma\n")
PROBLEM = Diagnostic(
    "unknown-mechanism",
    "unknown mechanism `cbma`",
    Location(TEXT, 3, 10, 14),
    "attention.0.use",
    "not in the registry",
    ("did you mean `cbam`?", "first\nsecond"),
)


def at(line: int, column: int, text: Source = TEXT, path: str = "") -> Diagnostic:
    return Diagnostic("code", f"{line}:{column}", Location(text, line, column, column + 1), path)


def excerpt(text: str, column: int, end: int, label: str = "") -> list[str]:
    problem = Diagnostic("code", "message", Location(Source("a", text), 1, column, end), label=label)
    return str(problem).split("\n")[3:5]


def test_a_problem_with_everything() -> None:
    assert (
        str(PROBLEM)
        == """\
error: unknown mechanism `cbma`
 --> net.yaml:3:10
  |
3 |   - use: cbma
  |          ^^^^ not in the registry
  |
  = at: attention.0.use
  = help: did you mean `cbam`?
  = help: first
          second"""
    )


def test_a_problem_with_nothing_but_a_message() -> None:
    assert str(Diagnostic("code", "message", severity="warning")) == "warning: message"


def test_without_an_excerpt_the_label_says_what_was_expected() -> None:
    expected = ["error: m", "  = expected: this", "  = at: a.b"]
    assert str(Diagnostic("code", "m", None, "a.b", "this")).split("\n") == expected
    beyond = Diagnostic("code", "m", Location(TEXT, 99, 1, 2), label="this")
    assert str(beyond).split("\n") == ["error: m", "  --> net.yaml:99:1", "   = expected: this"]


def test_margins_grow_with_the_line_number() -> None:
    long = Source("a", "x\n" * 200)
    assert str(at(100, 1, long)).split("\n")[1:5] == ["   --> a:100:1", "    |", "100 | x", "    | ^"]


def test_long_lines_show_what_is_around_the_column() -> None:
    text = "".join(str(number % 10) for number in range(1, 1001))
    shown, caret = excerpt(text, 500, 503, "here")
    assert len(shown) == 4 + 120
    assert shown.startswith("1 | …")
    assert shown.endswith("…")
    assert caret.endswith("^^^ here")
    start = caret.index("^")
    assert shown[start : start + 3] == text[499:502]


@pytest.mark.parametrize(("column", "end"), [(1, 2), (1000, 1001), (1001, 1002), (1, 1001), (700, 1001)])
def test_the_caret_of_a_long_line_stays_below_it(column: int, end: int) -> None:
    shown, caret = excerpt("x" * 1000, column, end)
    assert "^" in caret
    assert len(caret) <= len(shown) + 1


def test_a_short_line_is_shown_whole() -> None:
    assert excerpt("x" * 120, 120, 121)[0] == "1 | " + "x" * 120


@pytest.mark.parametrize("hidden", ["\x1b", "\x07", "\t", "\u200b", "\u202e", "\x85", "\ud800", "\x00"])
def test_characters_that_could_act_or_hide_are_replaced_everywhere(hidden: str) -> None:
    text = Source(f"a{hidden}b", f"c{hidden}d")
    problem = Diagnostic("x", f"m{hidden}", Location(text, 1, 2, 3), f"p{hidden}", f"l{hidden}l", (f"h{hidden}",))
    assert hidden not in str(problem)
    # A tab of the text is shown as a space: what stands behind it keeps its column.
    assert str(problem).count("\N{REPLACEMENT CHARACTER}") == 6 - (hidden == "\t")
    assert str(problem).split("\n")[4] == "  |  ^ l\N{REPLACEMENT CHARACTER}l"
    assert json.dumps(problem.to_json(), ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    ("text", "column", "end", "caret"),
    [
        ("网络: x", 5, 6, "  |       ^"),
        ("网络: x", 1, 3, "  | ^^^^"),
        ("e\u0301: x", 5, 6, "  |    ^"),
        ("ab", 3, 4, "  |   ^"),
        ("ab", 1, 99, "  | ^^"),
    ],
)
def test_carets_stand_below_wide_and_combined_characters(text: str, column: int, end: int, caret: str) -> None:
    assert excerpt(text, column, end)[1] == caret


def test_over_long_messages_lose_their_middle() -> None:
    shown = str(Diagnostic("code", "a" * 10**6 + "z"))
    assert len(shown) < 1000
    assert shown.endswith("z")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_in_yaml(end: str) -> None:
    text = Source("a", end.join(["one", "two\u2028\x0c", "", "four"]))
    assert [text.line(number) for number in range(6)] == ["", "one", "two\u2028\x0c", "", "four", ""]
    assert text.position(text.index(4, 2)) == (4, 2)
    assert text.text[text.index(2, 1)] == "t"
    assert text.index(9, 1) == len(text.text)


def test_as_json() -> None:
    assert PROBLEM.to_json() == {
        "severity": "error",
        "code": "unknown-mechanism",
        "message": "unknown mechanism `cbma`",
        "file": "net.yaml",
        "line": 3,
        "column": 10,
        "end_column": 14,
        "path": "attention.0.use",
        "expected": "not in the registry",
        "help": ["did you mean `cbam`?", "first\nsecond"],
    }
    bare = Diagnostic("code", "message").to_json()
    assert (bare["file"], bare["line"], bare["column"], bare["end_column"]) == (None, None, None, None)


def test_problems_are_sorted_and_each_is_told_once() -> None:
    other = Source("a.yaml", "x\n" * 9)
    found = [at(3, 1), at(1, 2), at(1, 1, path="b"), at(1, 1, path="a"), at(9, 1, other), at(3, 1)]
    error = SpecError([*found, Diagnostic("code", "nowhere")])
    order = [(str(one.location), one.path) for one in error.diagnostics]
    assert order == [
        ("None", ""),
        ("a.yaml:9:1", ""),
        ("net.yaml:1:1", "a"),
        ("net.yaml:1:1", "b"),
        ("net.yaml:1:2", ""),
        ("net.yaml:3:1", ""),
    ]


def test_twenty_are_shown_and_the_others_counted() -> None:
    found = [at(1, column) for column in range(1, 31)]
    error = SpecError(reversed(found))
    assert error.diagnostics == tuple(found[:MAX_SHOWN])
    assert error.omitted == 10
    assert str(error).endswith("\n\n… and 10 more")
    assert "more" not in str(SpecError(found[:MAX_SHOWN]))


def test_a_stage_stops_looking_and_says_so() -> None:
    looked_at = []

    def problems():
        for column in range(1, 10**6):
            looked_at.append(column)
            yield at(1, column)

    with pytest.raises(GraphError) as caught:
        GraphError.check(problems())
    assert len(looked_at) == MAX_FOUND
    assert str(caught.value).endswith(f"… and at least {MAX_FOUND - MAX_SHOWN} more")
    SpecError.check(iter(()))


def test_errors_pickle_and_copy_whole() -> None:
    error = GraphError([at(1, column) for column in range(1, 31)])
    for one in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(one) is GraphError
        assert (one.diagnostics, one.omitted, str(one)) == (error.diagnostics, error.omitted, str(error))


def test_exit_codes() -> None:
    assert ComposerError(PROBLEM).exit_code == SpecError(PROBLEM).exit_code == 1
    assert UnavailableError(PROBLEM).exit_code == 3


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("cbma", "cbam"),
        ("CBAM", "cbam"),
        ("squeeze", None),
        ("reduktion", "Reduction"),
        ("", None),
        (3, None),
        ("x" * 10**6, None),
    ],
)
def test_what_was_meant(word: object, meant: str | None) -> None:
    assert suggest(word, ["bam", "cbam", "Reduction", "se"]) == meant


def test_help_for_unknown_names() -> None:
    assert did_you_mean("cbma", ["cbam"], "all") == ("did you mean `cbam`?  all",)
    assert did_you_mean("zz", ["cbam"], "all") == ("all",)
    assert did_you_mean("zz", []) == ()


def test_lists_of_names() -> None:
    assert one_of([]) == "none"
    assert one_of(["a", "b"]) == "`a`, `b`"
    assert one_of("abc", 2) == "`a`, `b`, … (3 in all)"
