"""Names, blocks and inputs checked before torch; and that every caret stands under what it is about."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

import composer
from composer.errors import Diagnostic, SpecError
from composer.spec.check import PLACE
from composer.spec.document import Document
from composer.spec.load import load_spec
from composer.spec.spec import Spec
from composer.spec.structure import validate

HEAD = "name: net\ninput: [3, 32, 32]\n"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def load_text(text: str) -> Spec:
        Path("net.yaml").write_text(textwrap.dedent(text), encoding="utf-8", newline="")
        return load_spec("net.yaml")

    return load_text


@pytest.fixture
def problems(read: Any) -> Any:
    def find(text: str) -> tuple[Diagnostic, ...]:
        with pytest.raises(SpecError) as caught:
            read(text)
        return caught.value.diagnostics

    return find


def marked(problem: Diagnostic) -> str:
    """What the caret is under."""
    place = problem.location
    assert place is not None
    line = place.source.line(place.line)
    assert 1 <= place.column <= len(line) + 1
    assert place.column < place.end_column <= len(line) + 2
    return line[place.column - 1 : place.end_column - 1]


@pytest.mark.parametrize(
    "scalar",
    [
        "${1 + widht}",
        "'${1 + widht}'",
        '"${1 + widht}"',
        "'it''s ${''a'' + widht}'",
        r'"\t\"\x41\u00e9\U0001F642 \\ ${1 + widht}"',
        '"a\\\n      b ${1 + widht}"',
        '"a\n\n      b ${1 + widht}"',
        "'a\n      b ${1 + widht}'",
        "a b\n      c ${1 +\n      widht}",
        "|\n      a\n        ${1 + widht}\n",
        "|2-\n        a\n      ${1 + widht}\n",
        ">-  # a comment with ${widht}\n\n      a\n\n      b ${1 +\n      widht} c\n",
        "é🙂 ${1 + widht}",
        "$widht",
        "a$$b$widht$$",
        "$$widht$widht.",
        "&anchor '${1 + widht}'",
        "&a  # widht\n      ${1 + widht}",
    ],
)
def test_the_caret_is_under_the_name_however_it_is_written(problems: Any, scalar: str) -> None:
    text = f"{HEAD}vars: {{width: 8}}\nnodes:\n  act:\n    op: relu\n    option: {scalar}\n"
    (problem,) = problems(text)
    assert problem.code == "unknown-name"
    assert marked(problem) == "widht"
    assert problem.path == "nodes.act.option"
    place = problem.location
    assert place is not None
    # `widht` also stands in comments and behind `$$`: it must be the one that is read.
    before = place.source.line(place.line)[: place.column - 1]
    assert "#" not in before
    assert not before.endswith("$$")


@pytest.mark.parametrize(
    ("scalar", "under"),
    [
        ('"${width +}"', "}"),
        ("${width +", "${"),
        ("'${width + }'", " "),
        ("|\n      ${width\n      +}\n", "}"),
        ('"a $"', "$"),
        ("$", "$"),
        ("'${'", "${"),
        ("'${width @ 2}'", "@"),
        ("'${(width}'", "}"),
    ],
)
def test_the_caret_of_what_is_missing_stands_behind_the_last_word(problems: Any, scalar: str, under: str) -> None:
    (problem,) = problems(f"{HEAD}vars: {{width: 8}}\nnodes:\n  act:\n    op: relu\n    option: {scalar}\n")
    assert problem.code == "expression"
    assert marked(problem) == under


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_carets_count_lines_as_yaml_does(problems: Any, end: str) -> None:
    (problem,) = problems(f"{HEAD}nodes:\n  act: {{op: relu, option: $widht}}\n".replace("\n", end))
    assert marked(problem) == "widht"
    assert problem.location is not None
    assert problem.location.line == 4


@pytest.mark.parametrize(
    ("where", "under"),
    [
        ("stag >= 2", "stag"),
        ("'${stage > 1 and stag}'", "stag"),
        ("depths[0] == 3 and input.channels == 3", "input"),
        ("stage >=", None),
    ],
)
def test_names_in_where_are_checked(problems: Any, where: str, under: str | None) -> None:
    (problem,) = problems(f"backbone: resnet50\nattention:\n  - use: se\n    after: branch\n    where: {where}\n")
    assert problem.path == "attention.0.where"
    if under:
        assert problem.code == "unknown-name"
        assert marked(problem) == under


@pytest.mark.parametrize("name", [*PLACE, "depths", "num_classes"])
def test_where_and_with_know_the_place_and_the_vars(read: Any, name: str) -> None:
    rule = f"{{use: se, after: branch, where: {name} == 1, with: {{reduction: ${name}}}}}"
    assert len(read(f"backbone: resnet50\nattention: [{rule}]\n").rules) == 1


def test_facts_behind_the_dot_are_checked_where_they_are_known(problems: Any, read: Any) -> None:
    (problem,) = problems(f"{HEAD}nodes:\n  act: {{op: relu, size: '${{input.hieght}}'}}\n")
    assert marked(problem) == "hieght"
    assert "did you mean `height`" in problem.help[0]
    read(f"{HEAD}vars: {{table: {{a: 1}}}}\nnodes:\n  act: {{op: relu, size: '${{table.a + input.height}}'}}\n")


SCOPES = """\
    input: [3, 32, 32]
    vars: {width: 8, twice: "${width * 2}"}
    blocks:
      unit:
        inputs: [left, right]
        args: {planes: , half: "${left.channels // width}"}
        vars: {a: "${planes * twice}", b: "${a + half}"}
        nodes:
          one: {op: relu, from: left, size: "${a + b + planes + right.height + channels}"}
          many: {op: relu, repeat: "${width + channels}", as: "n${index + repeat}", size: "${index}"}
          add: {op: add, from: [many, right]}
    nodes:
      act: relu
      unit: {block: unit, from: [act, input], args: {planes: "${input.channels * height}"}}
    """


def test_expressions_see_what_is_around_them(read: Any) -> None:
    assert read(SCOPES).vars == {"width": 8, "twice": 16}


@pytest.mark.parametrize(
    ("found", "instead", "name"),
    [
        ("${width * 2}", "${twice * 2}", "twice"),
        ("left.channels // width", "left.channels // planes2", "planes2"),
        ("${planes * twice}", "${b * twice}", "b"),
        ("${planes * twice}", "${channels * twice}", "channels"),
        ("right.height", "input.height", "input"),
        ('repeat: "${width + channels}"', 'repeat: "${width + index}"', "index"),
        ('size: "${a + b', 'size: "${repeat + a + b', "repeat"),
        ("${input.channels * height}", "${planes * height}", "planes"),
        ("input: [3, 32, 32]", "input: [3, $size, 32]", "size"),
    ],
)
def test_expressions_see_nothing_else(problems: Any, found: str, instead: str, name: str) -> None:
    assert found in SCOPES
    (problem,) = problems(SCOPES.replace(found, instead))
    assert marked(problem) == name


def test_all_problems_of_a_stage_come_at_once(problems: Any) -> None:
    # Whether a plugin has the block `unti` is known where plugins are: `validate` tells it too.
    found = problems("""\
        input: [3, 32, 32]
        vars: {width: 8}
        blocks:
          unit: {args: {planes: }, nodes: {act: {op: relu, size: $plane}}}
        nodes:
          one: {block: unit}
          two: {block: unti, from: on}
          three: {op: relu, size: $widht}
        outputs: {logits: four}
        attention:
          - {use: se, after: branch, with: {reduction: $widths}, where: lats}
        """)
    assert [problem.code for problem in found] == [
        "unknown-name",
        "missing-arg",
        "unknown-node",
        "unknown-name",
        "unknown-node",
        "unknown-name",
        "unknown-name",
    ]
    assert [marked(problem) for problem in found] == ["plane", "one", "on", "widht", "four", "widths", "lats"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", True),
        ("name", ["a"]),
        ("expect", "16"),
        ("expect", True),
        ("expect", 16.0),
        ("expect", -1),
        ("start", True),
        ("tokens", "pixel"),
        ("where", 1),
        ("with", []),
        ("use", 3),
    ],
)
def test_nothing_is_coerced(key: str, value: Any) -> None:
    rule = {"use": "se", "after": "branch", key: value}
    with pytest.raises(SpecError) as caught:
        validate(Document.from_mapping({"backbone": "resnet50", "attention": [rule]}))
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.path) == ("wrong-type", f"attention.0.{key}")


def test_a_union_is_one_problem_at_the_part_that_is_wrong() -> None:
    with pytest.raises(SpecError) as caught:
        validate(Document.from_mapping({"backbone": "resnet50", "classes": ["a", 1, "b", None]}))
    assert [problem.path for problem in caught.value.diagnostics] == ["classes.1", "classes.3"]


def test_blocks_that_contain_themselves_through_others(problems: Any) -> None:
    blocks = "".join(f"  b{n}: {{nodes: {{x: {{block: b{n + 1}}}}}}}\n" for n in range(40))
    (problem,) = problems(f"{HEAD}blocks:\n{blocks}  b40: {{nodes: {{x: {{block: b20}}}}}}\nnodes: {{a: relu}}\n")
    assert problem.code == "cycle"
    assert problem.message.endswith("b20 -> b21 -> b22 -> b23 -> b24 -> b25 -> … -> b40 -> b20")


def test_a_block_used_twice_is_no_cycle(read: Any) -> None:
    blocks = "  a: {nodes: {x: {block: c}, y: {block: b}}}\n  b: {nodes: {x: {block: c}}}\n  c: {nodes: {x: relu}}\n"
    assert list(read(f"{HEAD}blocks:\n{blocks}nodes: {{a: {{block: a}}}}\n").blocks) == ["a", "b", "c"]


def test_what_is_at_a_wrong_place_is_told_where_it_belongs():
    for spec, said in (
        ({"attention": [{"use": "cbam", "after": "branch", "reduction": 8}]}, "with: {reduction: 8}"),
        ({"num_classes": 3}, "vars.num_classes"),
        ({"attention": "cbam"}, "`attention: [{use: cbam, after: branch}]`"),
        ({"attention": [{"use": "cbam"}]}, "write `after: branch`, where cbam usually goes"),
    ):
        with pytest.raises(composer.SpecError) as caught:
            composer.load_spec({"backbone": "resnet18", **spec})
        assert said in " ".join(caught.value.diagnostics[0].help)


def test_a_misspelt_option_that_is_needed_is_one_mistake():
    node = {"op": "conv2d", "out_channels": 8, "kernal_size": 3}
    with pytest.raises(composer.GraphError) as caught:
        composer.graph({"input": [3, 8, 8], "nodes": {"conv": node}})
    (found,) = caught.value.diagnostics
    assert found.message == "`conv2d` has no option `kernal_size`"
