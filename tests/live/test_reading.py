"""What is known of a text while it is written, without any protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

import composer
from composer.errors import Source
from composer.live.completion import Completer, word_at
from composer.live.cursor import readable, spot
from composer.live.definition import Definition
from composer.live.fixes import changed, fixes
from composer.live.grammar import Grammar
from composer.live.hover import Hover
from composer.live.inlays import inlays
from composer.live.reading import Reader, Reading, is_spec
from composer.live.telling import place, text
from composer.live.units import characters, ends_of, index_of

SPEC = "backbone: resnet18\nattention:\n  - {use: cbam, after: branch}\n"
OWN = """\
input: [3, 32, 32]
vars: {width: 16}
blocks:
  unit:
    args: {planes: }
    nodes:
      conv: {op: conv2d, out_channels: $planes, kernel_size: 3, stride: 2, padding: 1}
      act: relu
nodes:
  stem:
    op: conv2d
    out_channels: $width
    kernel_size: 1
  body: {block: unit, repeat: 2, args: {planes: "${width * 2}"}}
  joined: {op: add, from: [body, body]}
"""


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar.of_index()


def read(reader: Reader, text: str, path: Path | None = None) -> Reading:
    return reader.compose(reader.read(text, path))


def test_a_text_is_read_as_its_file_would_be(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(SPEC)
    unsaved = "backbone: base.yaml\nattention: [{use: se, after: stage}]\n"
    found = read(reader, unsaved, tmp_path / "net.yaml")
    (tmp_path / "net.yaml").write_text(unsaved)
    whole = composer.compose(tmp_path / "net.yaml")
    assert found.graph is not None
    assert found.problems == ()
    assert found.graph.to_json() == whole.to_json()
    assert [one.parameters for one in found.added] == [one.parameters for one in whole.added]


@pytest.mark.parametrize(
    "wrong",
    [
        "backbone: resnet5\n",
        "backbone: resnet18\natention: []\n",
        SPEC.replace("cbam", "cbma"),
        SPEC.replace("branch", "'brnch'"),
        SPEC.replace("}", ", where: stge > 1}"),
        SPEC.replace("}", ", with: {reductoin: 2}}"),
        "backbone: resnet18\nvars: {num_clases: 2}\n",
        "backbone: resnet18\nattention:\n\t- {use: cbam, after: branch}\n",
        SPEC.replace("}", ", where: stage ≥ 1}"),
    ],
)
def test_a_fix_makes_the_text_sound(reader: Reader, wrong: str) -> None:
    found = read(reader, wrong)
    fixed = [one for problem in found.problems for one in fixes(found, problem, reader)]
    assert fixed
    after = read(reader, changed(wrong, fixed[0]))
    assert after.problems == ()
    assert after.graph is not None


def test_what_no_name_is_near_to_has_no_fix(reader: Reader) -> None:
    found = read(reader, SPEC.replace("cbam", "zzzzzzzz"))
    assert [fixes(found, problem, reader) for problem in found.problems] == [[]]


def test_every_mistake_is_told_at_its_word(reader: Reader) -> None:
    wrong = OWN.replace("$width", "$widht").replace("unit, repeat", "unti, repeat")
    found = read(reader, wrong)
    words = {}
    for one in found.problems:
        assert one.location is not None
        line = wrong.splitlines()[one.location.line - 1]
        words[line[one.location.column - 1 : one.location.end_column - 1]] = one.code
    assert {word: words[word] for word in ("widht", "unti")} == {"widht": "unknown-name", "unti": "unknown-block"}


def test_inlays_of_nodes_and_rules(reader: Reader) -> None:
    found = read(reader, OWN)
    assert found.document is not None
    lines = {one.line: one.text for one in inlays(found.document, found)}
    assert lines == {
        7: "32×16×16, 32×8×8",
        8: "32×16×16, 32×8×8",
        10: "16×32×32",
        14: "32×8×8",
        15: "32×8×8",
    }
    written = OWN.splitlines()
    assert {one.line: one.column for one in inlays(found.document, found)} == {
        line: len(written[line - 1]) + 1 for line in lines
    }
    rules = read(reader, SPEC)
    assert rules.document is not None
    assert [(one.line, one.text) for one in inlays(rules.document, rules)] == [(3, "8 places, +89.9 k")]


def test_inlays_while_a_line_is_no_yaml_yet(reader: Reader) -> None:
    good = read(reader, OWN)
    broken = OWN + "  head: {op: linear, out\n"
    now = read(reader, broken)
    assert now.document is None
    document = readable(now.source)
    assert document is not None
    found = inlays(document, now, good)
    assert [one.text for one in found if one.line == 10] == ["was 16×32×32"]


def test_a_rule_that_outputs_need(reader: Reader) -> None:
    """The network without the rule is none; what it adds is then not known, and nothing fails."""
    found = read(reader, SPEC + "outputs: layer4.1.cbam\n")
    assert found.document is not None
    inlays(found.document, found)


def test_hover(reader: Reader, grammar: Grammar) -> None:
    found = read(reader, OWN)
    hover = Hover(found, grammar)

    def at(line: int, word: str) -> str:
        assert found.document is not None
        place = spot(found.document, line, OWN.splitlines()[line - 1].index(word) + 1)
        assert place is not None
        return hover.at(place)

    assert "| conv2d | 3×32×32 | 16×32×32 | 48 |" in at(10, "stem")
    assert "conv layer" in at(11, "conv2d")
    assert "here: `16`" in at(12, "out_channels")
    assert "here: `16`" in at(2, "width")
    assert at(7, "conv:").count("conv2d |") == 2
    assert "How many copies" in at(14, "repeat")


def test_definition(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(SPEC)
    text = "backbone: base.yaml\nattention: [{use: se, after: stage}]\n"
    found = read(reader, text, tmp_path / "net.yaml")
    assert found.document is not None
    (there,) = Definition(found).at(spot(found.document, 1, 12), 12)
    assert there.source.name == str(tmp_path / "base.yaml")
    (mechanism,) = Definition(found).at(spot(found.document, 2, 19), 19)
    assert mechanism.source.name.endswith("se.py")
    stages = Definition(found).at(spot(found.document, 2, 30), 30)
    assert {Path(one.source.name).name for one in stages} == {"resnet.yaml"}

    own = read(reader, OWN)
    assert own.document is not None

    def lines(line: int, word: str) -> list[int]:
        column = OWN.splitlines()[line - 1].index(word) + 1
        return [one.line for one in Definition(own).at(spot(own.document, line, column), column)]

    assert lines(14, "unit") == [4]
    assert lines(15, "body, ") == [14]
    assert lines(12, "width") == [2]


COMPLETIONS = [
    ("backbone: resn|\n", "resnet50", True),
    ("|", "backbone", True),
    ("backbone: resnet18\nattention:\n  - {use: cb|\n", "cbam", True),
    ("backbone: resnet18\nattention:\n  - {use: cbam, |}\n", "after", True),
    ("backbone: resnet18\nattention:\n  - use: cbam\n    |\n", "where", True),
    ("backbone: resnet18\nattention:\n  - use: cbam\n    after: br|\n", "branch", False),
    ("backbone: resnet18\nattention:\n  - {use: cbam, after: [stem, layer1.|]}\n", "layer1.0", False),
    ("backbone: resnet18\nattention:\n  - {use: cbam, after: branch, with: {re|}}\n", "reduction", True),
    ("backbone: resnet18\nattention:\n  - {use: cbam, after: branch, start: |}\n", "identity", True),
    ("backbone: resnet18\nattention:\n  - {use: cbam, after: branch, where: stage > 1 and not la|}\n", "last", False),
    ("backbone: resnet18\nvars:\n  |\n", "num_classes", True),
    ("backbone: resnet18\nvars: {stem: |}\n", "small", True),
    ("input: [3, 8, 8]\nnodes:\n  a: {op: conv2d, out_channels: 8, kernel_size: 3}\n  b: re|\n", "relu", True),
    ("input: [3, 8, 8]\nnodes:\n  a: {op: conv2d, out_channels: 8, |\n", "kernel_size", True),
    ("input: [3, 8, 8]\nnodes:\n  first: relu\n  b: {op: relu, from: |\n", "first", False),
    (OWN + "  more: {block: |", "unit", False),
    (OWN + "  more: {block: unit, args: {|", "planes", False),
    (OWN + "  more: {op: linear, out_features: $|", "width", False),
]


@pytest.mark.parametrize(("marked", "expected", "is_of_schema"), COMPLETIONS)
def test_completion(reader: Reader, grammar: Grammar, marked: str, expected: str, is_of_schema: bool) -> None:
    index = marked.index("|")
    source = Source("net.yaml", marked.replace("|", ""))
    known = read(reader, OWN if marked.startswith(OWN) else SPEC)
    found = [one.label for one in Completer(known, grammar).at(source, index)]
    assert expected in found
    assert len(found) == len(set(found))
    beyond = [one.label for one in Completer(known, grammar).at(source, index, beyond_schema=True)]
    assert (expected in beyond) != is_of_schema


@pytest.mark.parametrize("marked", ["backbone: resnet18  # a com|ment\n", "a: 'x' : [|", "%|", "\t|", '"|'])
def test_completion_where_there_is_none(reader: Reader, grammar: Grammar, marked: str) -> None:
    source = Source("net.yaml", marked.replace("|", ""))
    Completer(read(reader, SPEC), grammar).at(source, marked.index("|"))


def test_a_rule_has_one_position(reader: Reader, grammar: Grammar) -> None:
    text = "backbone: resnet18\nattention:\n  - {use: cbam, after: branch, }\n"
    found = Completer(read(reader, SPEC), grammar).at(Source("net.yaml", text), text.index("}"))
    labels = {one.label for one in found}
    assert "where" in labels
    assert labels.isdisjoint({"use", "after", "before", "replace"})


def test_the_word_that_is_replaced() -> None:
    source = Source("net.yaml", "backbone: papers/cbam/resnet50 # x\n")
    found = word_at(source, 18)
    assert (found.column, found.end_column) == (11, 31)


def test_problems_of_other_files_are_told_where_they_are_referred_to(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(SPEC.replace("cbam", "cbma"))
    found = read(reader, "name: x\nbackbone: base.yaml\n", tmp_path / "net.yaml")
    (problem,) = found.problems
    assert place(found, problem).line == 2
    assert f"at {tmp_path / 'base.yaml'}:3:11" in text(found, problem)


def test_what_is_a_spec() -> None:
    assert is_spec(SPEC)
    assert is_spec("# yaml-language-server: $schema=../composer.schema.json\n")
    assert not is_spec("services:\n  nodes: 3\n")


def test_hostile_texts(reader: Reader) -> None:
    for hostile in (
        "\ud800",
        "a: &a [*a]",
        "x" * (1 << 20) + "y",
        "\x00",
        "- 1\n",
        "[" * 5000,
        "nodes: {a: \ue000}",
        "🙂: {",
    ):
        found = read(reader, hostile)
        assert found.problems
        readable(found.source)


def test_units() -> None:
    source = Source("x", "a\U0001f600b\r\nc×d\n")
    assert index_of(source, 0, 3, "utf-16") == 2
    assert index_of(source, 1, 2, "utf-16") == 7
    assert index_of(source, 99, 0, "utf-16") == len(source.text)
    assert characters("a", 9, "utf-8") == 1
    found = read(Reader(), "backbone: resnet5\n").problems[0].location
    assert found is not None
    assert ends_of(found, "utf-16") == (0, 10, 17)
